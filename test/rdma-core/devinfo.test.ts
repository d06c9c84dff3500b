/** ibv_devinfo -v: every field of a ConnectX-3, with the values that real cards print. */
import t from 'tap';
import { startDaemon } from '../support/daemon.js';

const daemon = await startDaemon(t, {
  config: '[[device]]\nports = 2\n\n[[device]]\nlink_layer = "ethernet"\n',
});

/** The device's own, above its ports. */
const DEVICE = {
  transport: 'InfiniBand (0)',
  fw_ver: '2.42.5000',
  node_guid: '0002:c903:00a1:b2c0',
  sys_image_guid: '0002:c903:00a1:b2c3',
  vendor_id: '0x02c9',
  vendor_part_id: '4099',
  hw_ver: '0x0',
  board_id: 'MT_1090120019',
  phys_port_cnt: '2',
  max_mr_size: '0xffffffffffffffff',
  page_size_cap: '0xfffffe00',
  max_qp: '131000',
  max_qp_wr: '16351',
  device_cap_flags: '0x05361c76',
  max_sge: '32',
  max_sge_rd: '30',
  max_cq: '65408',
  max_cqe: '4194303',
  max_mr: '524032',
  max_pd: '32764',
  max_qp_rd_atom: '16',
  max_ee_rd_atom: '0',
  max_res_rd_atom: '2096000',
  max_qp_init_rd_atom: '128',
  max_ee_init_rd_atom: '0',
  atomic_cap: 'ATOMIC_HCA (1)',
  max_ee: '0',
  max_rdd: '0',
  max_mw: '0',
  max_raw_ipv6_qp: '0',
  max_raw_ethy_qp: '0',
  max_mcast_grp: '8192',
  max_mcast_qp_attach: '248',
  max_total_mcast_qp_attach: '2031616',
  max_ah: '2147483647',
  max_fmr: '0',
  max_srq: '65472',
  max_srq_wr: '16383',
  max_srq_sge: '31',
  max_pkeys: '128',
  local_ca_ack_delay: '15',
  general_odp_caps: '',
  rc_odp_caps: '',
  uc_odp_caps: '',
  ud_odp_caps: '',
  xrc_odp_caps: '',
  'completion timestamp_mask': '0x0000ffffffffffff',
  hca_core_clock: '427000kHZ',
  device_cap_flags_ex: '0x5361C76',
  tso_caps: '',
  max_tso: '0',
  rss_caps: '',
  max_rwq_indirection_tables: '0',
  max_rwq_indirection_table_size: '0',
  rx_hash_function: '0x0',
  rx_hash_fields_mask: '0x0',
  max_wq_type_rq: '0',
  packet_pacing_caps: '',
  qp_rate_limit_min: '0kbps',
  qp_rate_limit_max: '0kbps',
  'cq moderation caps': '',
  max_cq_count: '65535',
  max_cq_period: '65535 us',
  num_comp_vectors: '2',
};

const PORT = {
  state: 'PORT_ACTIVE (4)',
  max_mtu: '4096 (5)',
  active_mtu: '4096 (5)',
  sm_lid: '1',
  port_lid: '2',
  port_lmc: '0x00',
  link_layer: 'InfiniBand',
  max_msg_sz: '0x40000000',
  port_cap_flags: '0x02514868',
  port_cap_flags2: '0x0000',
  max_vl_num: '8 (4)',
  bad_pkey_cntr: '0x0',
  qkey_viol_cntr: '0x0',
  sm_sl: '0',
  pkey_tbl_len: '128',
  gid_tbl_len: '128',
  subnet_timeout: '18',
  init_type_reply: '0',
  active_width: '4X (2)',
  active_speed: '14.0 Gbps (16)',
  phys_state: 'LINK_UP (5)',
  'GID[  0]': 'fe80:0000:0000:0000:0002:c903:00a1:b2c1',
};

const FLAGS = [
  ...['BAD_PKEY_CNTR', 'BAD_QKEY_CNTR', 'AUTO_PATH_MIG', 'CHANGE_PHY_PORT', 'UD_AV_PORT_ENFORCE'],
  ...['PORT_ACTIVE_EVENT', 'SYS_IMAGE_GUID', 'RC_RNR_NAK_GEN', 'MEM_WINDOW', 'UD_IP_CSUM', 'XRC'],
  ...['MEM_MGT_EXTENSIONS', 'MEM_WINDOW_TYPE_2B', 'RAW_IP_CSUM'],
];

/** On Ethernet the same adapter has other flags and RSS. */
const ETHERNET = {
  node_guid: '0002:c903:00a1:b2d0',
  sys_image_guid: '0002:c903:00a1:b2d3',
  board_id: 'MT_1100120019',
  phys_port_cnt: '1',
  device_cap_flags: '0x25361c66',
  device_cap_flags_ex: '0x25361C66',
  max_rwq_indirection_tables: '131000',
  max_rwq_indirection_table_size: '128',
  rx_hash_function: '0x1',
  rx_hash_fields_mask: '0xFF',
  supported_qp: '',
  max_wq_type_rq: '131000',
};
const ETHERNET_PORT = {
  active_mtu: '1024 (3)',
  link_layer: 'Ethernet',
  port_cap_flags: '0x04010000',
  max_vl_num: '2 (2)',
  pkey_tbl_len: '1',
  active_speed: '10.0 Gbps (4)',
};

interface Fields {
  device: Record<string, string>;
  flags: string[];
  ports: Record<string, string>[];
}

/** Takes the output for one device apart: `name: value` lines, and capability names on lines of their own. */
function fieldsOf(output: string): Fields {
  const fields: Fields = { device: {}, flags: [], ports: [] };
  for (const line of output.split('\n').map((text) => text.trim())) {
    const [, name, value = ''] = /^([\w[\] ]+):\s*(.*)$/.exec(line) ?? [];
    if (name === 'port') fields.ports.push({});
    else if (name === undefined) {
      if (/^[A-Z_0-9]+$/.test(line)) fields.flags.push(line);
    } else if (name !== 'hca_id') {
      (fields.ports.at(-1) ?? fields.device)[name] = value;
    }
  }
  return fields;
}

async function devinfo(device: string): Promise<Fields> {
  const { stdout } = await daemon.run('ibv_devinfo', '-v', '-d', device);
  return fieldsOf(stdout);
}

t.test('an InfiniBand device', async (t) => {
  const { device, flags, ports } = await devinfo('mlx4_0');
  t.same(device, DEVICE, 'every field');
  t.same(flags, FLAGS);
  t.same(ports, [
    PORT,
    { ...PORT, port_lid: ports[1]?.['port_lid'], 'GID[  0]': 'fe80:0000:0000:0000:0002:c903:00a1:b2c2' },
  ]);
  t.not(ports[1]?.['port_lid'], PORT.port_lid, 'each port has a LID of its own');
});

t.test('an Ethernet device', async (t) => {
  const { device, flags, ports } = await devinfo('mlx4_1');
  t.same(device, { ...DEVICE, ...ETHERNET });
  const capabilities = FLAGS.filter((flag) => flag !== 'AUTO_PATH_MIG');
  t.same(flags, [...capabilities, 'MANAGED_FLOW_STEERING', 'SUPPORT_RAW_PACKET']);
  t.match(ports, [ETHERNET_PORT]);
});
