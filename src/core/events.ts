import type { IbDevice } from './device.js';

/** Numbers of asynchronous events (enum ib_event_type; what ibv_get_async_event delivers). */
export const EventType = {
  CQ_ERR: 0,
  QP_FATAL: 1,
  QP_REQ_ERR: 2,
  QP_ACCESS_ERR: 3,
  COMM_EST: 4,
  SQ_DRAINED: 5,
  PATH_MIG: 6,
  PATH_MIG_ERR: 7,
  DEVICE_FATAL: 8,
  PORT_ACTIVE: 9,
  PORT_ERR: 10,
  LID_CHANGE: 11,
  PKEY_CHANGE: 12,
  SM_CHANGE: 13,
  SRQ_ERR: 14,
  SRQ_LIMIT_REACHED: 15,
  QP_LAST_WQE_REACHED: 16,
  CLIENT_REREGISTER: 17,
  GID_CHANGE: 18,
  WQ_FATAL: 19,
} as const;
export type EventType = (typeof EventType)[keyof typeof EventType];

const names = new Map<number, string>(Object.entries(EventType).map(([name, number]) => [number, name]));

/** "PORT_ACTIVE" for 9. */
export function eventName(type: number): string {
  return names.get(type) ?? String(type);
}

/** An event of a whole device or of one port (`port` 0: the device). Events of objects go to the object's file. */
export interface DeviceEvent {
  readonly device: IbDevice;
  readonly type: EventType;
  readonly port: number;
}
