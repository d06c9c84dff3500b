/** Messages in a byte stream: one per line. */

/** The peer sent a line that is longer than the limit. */
export class LineTooLong extends Error {
  override readonly name = 'LineTooLong';
}

const NEWLINE = 0x0a;

/**
 * The lines of a stream, without their newlines and without empty ones. What follows the last newline is not a
 * message and is dropped. Throws LineTooLong as soon as a line exceeds `limit` bytes.
 */
export async function* splitLines(chunks: AsyncIterable<Buffer>, limit: number): AsyncGenerator<string> {
  let pieces: Buffer[] = [];
  let length = 0;
  const add = (piece: Buffer) => {
    pieces.push(piece);
    length += piece.length;
    if (length > limit) throw new LineTooLong(`a line is longer than ${limit} bytes`);
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      add(chunk.subarray(start, end));
      const line = Buffer.concat(pieces).toString('utf8');
      pieces = [];
      length = 0;
      start = end + 1;
      if (line.trim() !== '') yield line;
    }
    add(chunk.subarray(start));
  }
}
