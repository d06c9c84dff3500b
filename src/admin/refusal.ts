/**
 * What the operator asked for is not going to happen. The message is one sentence for the operator: what, why and
 * what to do; it travels over the admin socket as it is.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}
