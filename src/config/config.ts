/**
 * The configuration: what a file may say (TOML, snake_case) and what the program sees (camelCase, every default
 * filled in). Every key stands here once.
 */
import { z } from 'zod';
import { LIMIT_RANGES, type Limits, type Range } from '../mlx4/limits.js';

/** IB_UVERBS_NUM_FIXED_MINOR (drivers/infiniband/core/uverbs_main.c). */
const MAX_DEVICES = 32;
const FIRST_NODE_GUID = 0x0002_c903_00a1_b2c0n;
/** Room for the GUIDs of the ports, which follow that of their node. */
const NODE_GUID_STEP = 0x10n;
const FIRST_PCI_BUS = 0x03;
/** Those of MCX353A-FCBT and MCX354A-FCBT: the same card with one and with two ports. */
const BOARD_IDS = { 1: 'MT_1100120019', 2: 'MT_1090120019' } as const;

/** As sysfs shows it ("0002:c903:00a1:b2c0"), or as a number. */
const nodeGuid = z.unknown().transform((value, context): bigint => {
  if (typeof value === 'string' && /^([0-9a-f]{4}:){3}[0-9a-f]{4}$/i.test(value)) {
    return BigInt(`0x${value.replaceAll(':', '')}`);
  }
  if ((typeof value === 'number' && Number.isSafeInteger(value)) || typeof value === 'bigint') {
    if (value > 0) return BigInt(value);
  }
  context.addIssue('must be a GUID like "0002:c903:00a1:b2c0" or 0x0002c90300a1b2c0');
  return z.NEVER;
});

/** Of an adapter, by the names of ibv_devinfo ("max_qp"). */
const limits = z
  .strictObject(
    Object.fromEntries(
      Object.entries(LIMIT_RANGES).map(([name, range]) => [snakeCase(name), limit(range).optional()]),
    ),
  )
  .transform((given) => {
    const named = Object.keys(LIMIT_RANGES).map((name) => [name, given[snakeCase(name)]]);
    return Object.fromEntries(named.filter(([, value]) => value !== undefined)) as Partial<Limits>;
  });

function limit({ lowest, highest, powerOfTwo }: Range): z.ZodType<number> {
  const range = z.int().min(lowest, `must be at least ${lowest}`).max(highest, `must be at most ${highest}`);
  if (powerOfTwo !== true) return range;
  return range.refine((value) => (value & (value - 1)) === 0, 'must be a power of two');
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A device as a file, or the operator at run time, asks for it. */
export const deviceSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_-]{0,62}$/, 'must be a letter and up to 62 letters, digits, "_" or "-"')
    .optional(),
  pci: z
    .string()
    .regex(/^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/, 'must be a PCI address like "1000:03:00.0"')
    .optional(),
  node_guid: nodeGuid.optional(),
  firmware: z
    .string()
    .regex(/^\d{1,4}\.\d{1,4}\.\d{1,4}$/, 'must be a version like "2.42.5000"')
    .default('2.42.5000'),
  board_id: z
    .string()
    .regex(/^[!-~]{1,16}$/, 'must be 1 to 16 printable characters')
    .optional(),
  ports: z.union([z.literal(1), z.literal(2)], 'must be 1 or 2').default(1),
  driver_without_disassociate: z.boolean().default(false),
  kernel_profile: z.enum(['6.12', '4.3'], 'must be "6.12" or "4.3"').default('6.12'),
  link_layer: z.enum(['infiniband', 'ethernet'], 'must be "infiniband" or "ethernet"').default('infiniband'),
  limits: limits.default({}),
});

export type DeviceRequest = z.output<typeof deviceSchema>;

export interface DeviceConfig {
  name: string;
  /** `dddd:bb:dd.f`. */
  pci: string;
  nodeGuid: bigint;
  firmware: string;
  boardId: string;
  ports: 1 | 2;
  /** The driver leaves out `disassociateUcontext`, so that removal waits for the device's users. */
  driverWithoutDisassociate: boolean;
  /** The kernel whose uverbs the device shows. */
  kernelProfile: '6.12' | '4.3';
  linkLayer: 'infiniband' | 'ethernet';
  /** Capabilities that differ from a real adapter's, by their name. */
  limits: Partial<Limits>;
}

/** Fills in what was not given; `index` makes the defaults of several devices differ. */
function completeDevice(given: z.output<typeof deviceSchema>, index: number): DeviceConfig {
  const bus = (FIRST_PCI_BUS + index).toString(16).padStart(2, '0');
  return {
    name: given.name ?? `mlx4_${index}`,
    pci: given.pci ?? `1000:${bus}:00.0`,
    nodeGuid: given.node_guid ?? FIRST_NODE_GUID + BigInt(index) * NODE_GUID_STEP,
    firmware: given.firmware,
    boardId: given.board_id ?? BOARD_IDS[given.ports],
    ports: given.ports,
    driverWithoutDisassociate: given.driver_without_disassociate,
    kernelProfile: given.kernel_profile,
    linkLayer: given.link_layer,
    limits: given.limits,
  };
}

/** What no two devices may share, by its key in the file. */
const UNIQUE = { name: 'name', pci: 'pci', node_guid: 'nodeGuid' } as const satisfies Record<
  string,
  keyof DeviceConfig
>;

function requireUnique(devices: DeviceConfig[], context: z.RefinementCtx): void {
  for (const [key, property] of Object.entries(UNIQUE)) {
    for (const [index, device] of devices.entries()) {
      const first = devices.findIndex((other) => other[property] === device[property]);
      if (first === index) continue;
      context.addIssue({ code: 'custom', path: [index, key], message: `is also that of device[${first}]` });
    }
  }
}

const devices = z
  .array(deviceSchema)
  .max(MAX_DEVICES, `must not be more than ${MAX_DEVICES}`)
  .default(() => [deviceSchema.parse({})])
  .transform((given) => given.map(completeDevice))
  .superRefine(requireUnique);

/** The kernel modules whose order of loading clients can tell apart. */
export const MODULES = ['ib_uverbs', 'rdma_cm'] as const;

export type ModuleName = (typeof MODULES)[number];

const moduleOrder = z
  .array(z.enum(MODULES, `must be one of ${MODULES.join(' and ')}`))
  .refine(
    (given) => given.length === MODULES.length && new Set(given).size === MODULES.length,
    `must have each of ${MODULES.join(' and ')} once`,
  )
  .default([...MODULES]);

/** Of the whole file. */
export const configSchema = z
  .strictObject({
    device: devices,
    module_order: moduleOrder,
    socket_group: z.string().min(1, 'must name a group').optional(),
    log_level: z
      .enum(['debug', 'info', 'warn', 'error'], 'must be debug, info, warn or error')
      .default('info'),
  })
  .transform((given) => ({
    devices: given.device,
    /** In this order a new device is announced to the modules; a removal in reverse. */
    moduleOrder: given.module_order,
    /** The group that may use the admin socket; without one, only root may. */
    socketGroup: given.socket_group,
    logLevel: given.log_level,
  }));

export type Config = z.output<typeof configSchema>;

/** One device, mlx4_0. */
export const defaultConfig: Config = configSchema.parse({});

/** A device beside others, from which its defaults differ. */
export function additionalDevice(given: z.output<typeof deviceSchema>, others: DeviceConfig[]): DeviceConfig {
  for (let index = 0; ; index++) {
    const made = completeDevice(given, index);
    const clashes = others.some((other) => Object.values(UNIQUE).some((key) => other[key] === made[key]));
    if (!clashes || index > MAX_DEVICES) return made;
  }
}
