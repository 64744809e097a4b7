import { readSampleEntry, type SampleEntry } from './sample-entry.ts'
import { emptyTable } from './sample-table.ts'
import type { Track } from './track.ts'
import { box, u16, u32 } from './write/boxes.ts'

/** High profile, level 1.1, one SPS and one PPS of no meaning, lengths of four bytes. */
export const AVCC = Buffer.from('0164000bffe100046764000b01000268ee', 'hex')
/** ISO/IEC 14496-1 §7.2.6.5 around an AudioSpecificConfig. */
export function esdsWith(config: string, objectType = 0x40): Buffer {
  const descriptor = (tag: number, ...body: Buffer[]): Buffer => {
    const bytes = Buffer.concat(body)
    return Buffer.concat([Buffer.from([tag, 0x80, 0x80, 0x80, bytes.length]), bytes])
  }
  const specific = descriptor(5, Buffer.from(config, 'hex'))
  const decoder = descriptor(4, Buffer.from([objectType, 0x15]), Buffer.alloc(11), specific)
  return Buffer.concat([u32(0), descriptor(3, Buffer.from([0, 1, 0]), decoder)])
}

export function describedBy(type: string, fixed: Buffer, ...children: Buffer[]): Buffer {
  return Buffer.concat([u32(0, 1), box(type, fixed, ...children)])
}

export function videoEntry(avcC = AVCC): SampleEntry {
  const fixed = Buffer.alloc(78)
  fixed.writeUInt16BE(1, 6)
  fixed.writeUInt16BE(192, 24)
  fixed.writeUInt16BE(144, 26)
  return readSampleEntry(describedBy('avc1', fixed, box('avcC', avcC)))
}

/** 48 kHz, stereo. */
const AAC_LC = esdsWith('1190')

export function audioEntry(esds = AAC_LC): SampleEntry {
  const fixed = Buffer.concat([u16(0, 0, 0, 1, 0, 0, 0, 0, 2, 16, 0, 0), u32(48_000 * 0x10000)])
  return readSampleEntry(describedBy('mp4a', fixed, box('esds', esds)))
}

export interface Sample {
  size: number
  duration: number
  compositionOffset: number
  isSync: boolean
}

/** Samples that lie one after the other from the start of their file. */
export function aTrack(samples: Sample[], fields: Partial<Track> = {}): Track {
  const table = emptyTable(samples.length)
  let offset = 0
  for (const [index, { size, duration, compositionOffset, isSync }] of samples.entries()) {
    table.offsets[index] = offset
    table.sizes[index] = size
    table.times[index + 1] = (table.times[index] ?? 0) + duration
    table.compositionOffsets[index] = compositionOffset
    table.syncs[index] = isSync ? 1 : 0
    offset += size
  }
  return {
    ...{ timescale: 1000, language: 0x55c4, entry: videoEntry(), samples: table },
    ...{ mediaTime: 0, startTicks: 0, parts: [{ path: 'film', firstSample: 0 }], ...fields },
  }
}

/** Pictures of 40 ms, a keyframe every second. */
export function aVideo(count: number, fields: Partial<Track> = {}, size = 100): Track {
  const samples = Array.from({ length: count }, (_, index) => {
    return { size, duration: 40, compositionOffset: 0, isSync: index % 25 === 0 }
  })
  return aTrack(samples, fields)
}

/** Packets of 20 ms. */
export function anAudio(count: number, fields: Partial<Track> = {}): Track {
  const sample = { size: 10, duration: 20, compositionOffset: 0, isSync: true }
  return aTrack(
    Array.from({ length: count }, () => sample),
    { entry: audioEntry(), ...fields },
  )
}
