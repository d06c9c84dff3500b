/** A client's context on the device, and the event files that come with it. */
import { Errno, finishCopies } from '../../../devfs/index.js';
import type { Bundle } from '../bundle.js';
import { AsyncEventFile, asyncEventType } from '../events/async-event-file.js';
import { CompletionChannel, completionChannelType } from '../events/completion-channel.js';

/**
 * Makes the file's context (ib_init_ucontext). EIO: removed; EINVAL: there is one; EAGAIN: the device is not active.
 */
export function getContext(bundle: Bundle): void {
  const { device, file } = bundle;
  if (file.hasContext) throw new Errno('EINVAL', 'the file has a context already');
  file.setContext(device.ops.allocUcontext(device, file.process, file.pages, bundle.udata));
  try {
    // The context outlives a failure of what comes after it, so it must not outlive one of what came before.
    finishCopies();
  } catch (error) {
    file.dropContext();
    throw error;
  }
}

/** The caller gets an asynchronous event file, its descriptor number written to `write`. */
export function newAsyncEventFile(
  bundle: Bundle,
  write: { address: bigint; width: 4 | 8 },
  undo: () => void = () => {},
): void {
  const { file } = bundle;
  const uobject = file.uobjects.reserveDescriptor(asyncEventType);
  uobject.object = new AsyncEventFile(file, uobject);
  bundle.installDescriptor({ uobject, file: uobject.object, write, undo });
}

/** The caller gets a completion channel. */
export function newCompletionChannel(bundle: Bundle, write: { address: bigint; width: 4 | 8 }): void {
  const { file } = bundle;
  bundle.context;
  const uobject = file.uobjects.reserveDescriptor(completionChannelType);
  uobject.object = new CompletionChannel(file, uobject);
  bundle.installDescriptor({ uobject, file: uobject.object, write, undo: () => {} });
}
