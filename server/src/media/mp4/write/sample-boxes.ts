import { sampleDescription } from '../sample-entry.ts'
import { durationOf, type SampleTable } from '../sample-table.ts'
import type { Track } from '../track.ts'
import { unpackable } from '../unpackable.ts'
import { box, fullBox, U32_MAX, u32, u32List, u64List } from './boxes.ts'

/** All of an `stbl` but where the chunks are. */
export function sampleBoxes({ entry, samples }: Track, samplesPerChunk: number[]): Buffer[] {
  return [
    sampleDescription(entry),
    timeToSample(samples),
    ...compositionOffsets(samples),
    ...syncSamples(samples),
    sampleToChunk(samplesPerChunk),
    fullBox('stsz', {}, u32(0, samples.count), u32List(samples.sizes)),
  ]
}

/** ISO/IEC 14496-12 §8.7.5. All are long as soon as one has to be. */
export function chunkOffsets(offsets: number[]): Buffer {
  const isLong = offsets.some((offset) => offset > U32_MAX)
  const list = isLong ? u64List(offsets) : u32List(offsets)
  return fullBox(isLong ? 'co64' : 'stco', {}, u32(offsets.length), list)
}

/** An `stbl` of a file whose samples are in fragments: §8.8. */
export function emptySampleTable({ entry }: Track): Buffer {
  const none = ['stts', 'stsc', 'stco'].map((type) => fullBox(type, {}, u32(0)))
  return box('stbl', sampleDescription(entry), ...none, fullBox('stsz', {}, u32(0, 0)))
}

/** §8.6.1.2 */
function timeToSample(samples: SampleTable): Buffer {
  const runs = runLengths(samples.count, (index) => {
    const duration = durationOf(samples, index)
    if (duration > U32_MAX) throw unpackable('one of its pictures lasts for days')
    return duration
  })
  return fullBox('stts', {}, u32(runs.length / 2), u32List(runs))
}

/** §8.6.1.3. Left out where all are 0; version 1 is for negative ones. */
function compositionOffsets({ count, compositionOffsets }: SampleTable): Buffer[] {
  if (!compositionOffsets.some((offset) => offset !== 0)) return []
  const version = compositionOffsets.some((offset) => offset < 0) ? 1 : 0
  const runs = runLengths(count, (index) => compositionOffsets[index] ?? 0)
  return [fullBox('ctts', { version }, u32(runs.length / 2), u32List(runs))]
}

/** §8.6.2. Left out where decoding can begin at every sample. */
function syncSamples({ count, syncs }: SampleTable): Buffer[] {
  const numbers: number[] = []
  for (let index = 0; index < count; index += 1) if (syncs[index] === 1) numbers.push(index + 1)
  if (numbers.length === count) return []
  return [fullBox('stss', {}, u32(numbers.length), u32List(numbers))]
}

/** §8.7.4 */
function sampleToChunk(samplesPerChunk: number[]): Buffer {
  const runs: number[] = []
  for (const [index, count] of samplesPerChunk.entries()) {
    if (count !== samplesPerChunk[index - 1]) runs.push(index + 1, count, 1)
  }
  return fullBox('stsc', {}, u32(runs.length / 3), u32List(runs))
}

/** Alternately how often, and what. */
function runLengths(count: number, valueAt: (index: number) => number): number[] {
  const runs: number[] = []
  for (let index = 0; index < count; index += 1) {
    const value = valueAt(index)
    const last = runs.length - 1
    if (last > 0 && runs[last] === value) runs[last - 1] = (runs[last - 1] ?? 0) + 1
    else runs.push(1, value)
  }
  return runs
}
