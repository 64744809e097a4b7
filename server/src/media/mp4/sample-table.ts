import { damaged } from './unpackable.ts'

/**
 * All samples of a track in decode order, in columns: 25 bytes a sample, for films of more than a
 * million.
 */
export interface SampleTable {
  count: number
  /** Bytes from the start of the file that holds the sample. */
  offsets: Float64Array
  sizes: Uint32Array
  /** Decode times in ticks, the first 0, never descending. One more than samples: the last is the end. */
  times: Float64Array
  /** Ticks from decode time to presentation time; may be negative. */
  compositionOffsets: Int32Array
  /** 1 where decoding can begin. */
  syncs: Uint8Array
}

/** 150 hours at 30 a second. */
const MOST_SAMPLES = 16 * 1024 ** 2

/**
 * How many samples a file of so many bytes may have: fewer than bytes, even if it says so in four.
 * Keeps a lie from taking all memory.
 */
export function mostSamplesIn(fileBytes: number): number {
  return Math.min(MOST_SAMPLES, fileBytes)
}

export function emptyTable(count: number): SampleTable {
  if (count > MOST_SAMPLES) throw damaged(`${count} samples`)
  return {
    count,
    offsets: new Float64Array(count),
    sizes: new Uint32Array(count),
    times: new Float64Array(count + 1),
    compositionOffsets: new Int32Array(count),
    syncs: new Uint8Array(count),
  }
}

export function durationOf({ times }: SampleTable, index: number): number {
  return (times[index + 1] ?? 0) - (times[index] ?? 0)
}

export function lastDuration(samples: SampleTable): number {
  return samples.count === 0 ? 0 : durationOf(samples, samples.count - 1)
}

export function bytesOf({ sizes }: SampleTable, from: number, to: number): number {
  let bytes = 0
  for (let index = from; index < to; index += 1) bytes += sizes[index] ?? 0
  return bytes
}

/** The tables of several files one after the other, each beginning when the one before ends. */
export function concatenated(tables: SampleTable[]): SampleTable {
  const joined = emptyTable(tables.reduce((sum, { count }) => sum + count, 0))
  let at = 0
  for (const table of tables) {
    const began = joined.times[at] ?? 0
    copyInto(joined, at, { ...table, times: table.times.map((time) => began + time) })
    at += table.count
  }
  return joined
}

function copyInto(target: SampleTable, at: number, { count, ...table }: SampleTable): void {
  target.offsets.set(table.offsets.subarray(0, count), at)
  target.sizes.set(table.sizes.subarray(0, count), at)
  target.times.set(table.times.subarray(0, count + 1), at)
  target.compositionOffsets.set(table.compositionOffsets.subarray(0, count), at)
  target.syncs.set(table.syncs.subarray(0, count), at)
}

/** A table that grows fragment by fragment. */
export class GrowingTable {
  #table: SampleTable
  #count: number
  readonly #most: number

  constructor(first: SampleTable, most: number) {
    this.#table = first
    this.#count = first.count
    this.#most = most
  }

  get count(): number {
    return this.#count
  }

  /** What follows is decoded at this tick: the sample before lasts until then. */
  continueAt(time: number): void {
    const { times } = this.#table
    if (this.#count > 0 && time < (times[this.#count - 1] ?? 0))
      throw damaged('tfdt runs backwards')
    times[this.#count] = time
  }

  push(sample: {
    offset: number
    size: number
    duration: number
    compositionOffset: number
    isSync: boolean
  }): void {
    const at = this.#count
    if (at === this.#table.offsets.length) this.#grow()
    const { offsets, sizes, times, compositionOffsets, syncs } = this.#table
    offsets[at] = sample.offset
    sizes[at] = sample.size
    times[at + 1] = (times[at] ?? 0) + sample.duration
    compositionOffsets[at] = sample.compositionOffset
    syncs[at] = sample.isSync ? 1 : 0
    this.#count = at + 1
  }

  #grow(): void {
    if (this.#count >= this.#most) throw damaged(`more than ${this.#most} samples`)
    const larger = emptyTable(Math.min(this.#most, Math.max(1024, 2 * this.#count)))
    copyInto(larger, 0, { ...this.#table, count: this.#count })
    this.#table = larger
  }

  /** The table with its first time made 0, and what that time was. */
  finish(): { samples: SampleTable; firstTime: number } {
    const count = this.#count
    const { offsets, sizes, times, compositionOffsets, syncs } = this.#table
    const [firstTime = 0] = times
    const samples = {
      count,
      offsets: offsets.subarray(0, count),
      sizes: sizes.subarray(0, count),
      times: times.subarray(0, count + 1).map((time) => time - firstTime),
      compositionOffsets: compositionOffsets.subarray(0, count),
      syncs: syncs.subarray(0, count),
    }
    return { samples, firstTime }
  }
}
