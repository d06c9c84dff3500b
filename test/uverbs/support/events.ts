/** Reading asynchronous events. */
import * as abi from '../../../src/abi/index.js';
import { eventName } from '../../../src/core/events.js';
import { type Answer, succeeded, type UverbsDoor } from './door.js';
import { parse } from './messages.js';

export const RECORD = abi.ibUverbsAsyncEventDesc.size;

/** An event in words: "DEVICE_FATAL of 0". */
export function eventOf(answer: Answer): string {
  const { element, eventType } = parse(abi.ibUverbsAsyncEventDesc, succeeded('read', answer).data);
  return `${eventName(eventType)} of ${element}`;
}

export const FATAL = 'DEVICE_FATAL of 0';

/** Takes all events that are queued. */
export async function drain(door: UverbsDoor, asyncFd: number): Promise<string[]> {
  for (const events: string[] = []; ; ) {
    const answer = await door.read(asyncFd, RECORD, 'nonblock');
    if (answer.errno === 'EAGAIN') return events;
    events.push(eventOf(answer));
  }
}
