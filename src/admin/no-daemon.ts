/** No daemon listens at the admin socket. The message is a sentence for the operator. */
export class NoDaemon extends Error {
  override readonly name = 'NoDaemon';
}
