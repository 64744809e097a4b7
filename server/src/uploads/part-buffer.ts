import type { Readable } from 'node:stream'

/** The bytes that are no whole part yet. */
export class PartBuffer {
  readonly #bytes: Buffer
  #length = 0

  /** `partBytes` is the size of the part that it becomes. */
  constructor(partBytes: number) {
    this.#bytes = Buffer.allocUnsafeSlow(partBytes)
  }

  get length(): number {
    return this.#length
  }

  get isFull(): boolean {
    return this.#length === this.#bytes.length
  }

  /** Valid until more is added. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Takes what fits, and gives the rest. */
  add(chunk: Buffer): Buffer {
    const taken = chunk.copy(this.#bytes, this.#length)
    this.#length += taken
    return chunk.subarray(taken)
  }

  async addAll(bytes: Readable): Promise<void> {
    for await (const chunk of bytes) this.add(chunk as Buffer)
  }

  clear(): void {
    this.#length = 0
  }
}
