import { expect, test } from 'vitest'
import { MediaFailure } from '../failure.ts'
import { planLayout, type Layout } from './layout.ts'
import { findBox, getBox } from './read/box-reader.ts'
import { planSegments } from './segments.ts'
import type { Track } from './track.ts'
import { anAudio, aTrack, aVideo } from './tracks.fixture.ts'
import { fragmentHeader, fragmentHeaderLength } from './write/fragment-boxes.ts'

function planned(video: Track | null, audio: Track | null): Layout {
  return planLayout(video, audio, planSegments(video, audio, { minSegmentSeconds: 2 }))
}

const GIB = 1024 ** 3

/** Of the chunks of the first track. */
function chunkBox({ head }: Layout): 'stco' | 'co64' {
  const stbl = getBox(head, 'moov', 'trak', 'mdia', 'minf', 'stbl')
  return findBox(stbl, 'co64') === undefined ? 'stco' : 'co64'
}

/** The head ends before the samples: its `mdat` is cut. */
function mdatHeader({ head, index }: Layout): { length: number; told: number } {
  const init = index.video?.init[0] ?? 0
  const isLong = head.toString('latin1', init - 12, init - 8) === 'mdat'
  return isLong
    ? { length: 16, told: Number(head.readBigUInt64BE(init - 8)) }
    : { length: 8, told: head.readUInt32BE(init - 8) }
}

/** The sizes are told in `moov`, before the `mdat` that is cut. */
function withoutBody(layout: Layout): Layout {
  const { length } = mdatHeader(layout)
  const start = (layout.index.video?.init[0] ?? 0) - length
  return { ...layout, head: layout.head.subarray(0, start) }
}

test('offsets and sizes are short where they fit, and long where not', () => {
  const small = planned(aVideo(100), anAudio(200))
  expect(chunkBox(withoutBody(small))).toBe('stco')
  expect(mdatHeader(small)).toMatchObject({ length: 8 })
  const large = planned(aVideo(150, {}, 0.05 * GIB), anAudio(200))
  expect(chunkBox(withoutBody(large))).toBe('co64')
  expect(mdatHeader(large)).toMatchObject({ length: 16 })
  for (const layout of [small, large]) {
    const start = (layout.index.video?.init[0] ?? 0) - mdatHeader(layout).length
    expect(start + mdatHeader(layout).told).toBe(layout.index.sizeBytes)
  }
})

test('a body of 4 GiB whose last chunk begins earlier has short offsets and a long size', () => {
  const layout = planned(aVideo(100, {}, 0.041 * GIB), null)
  expect(chunkBox(withoutBody(layout))).toBe('stco')
  expect(mdatHeader(layout).length).toBe(16)
})

test('offsets become long at the very byte', () => {
  const lastOffset = (firstSize: number): { offset: number; box: string } => {
    const video = aVideo(51)
    video.samples.sizes[0] = firstSize
    const layout = planned(video, null)
    const { offset, headerLength } = layout.tracks[0]?.fragments[1] ?? {
      offset: 0,
      headerLength: 0,
    }
    return { offset: offset + headerLength + 8, box: chunkBox(withoutBody(layout)) }
  }
  const spare = 2 ** 32 - 1 - lastOffset(4e9).offset
  expect(lastOffset(4e9 + spare - 4)).toMatchObject({ offset: 2 ** 32 - 1 - 4, box: 'stco' })
  expect(lastOffset(4e9 + spare - 3)).toMatchObject({ box: 'stco' })
  expect(lastOffset(4e9 + spare)).toMatchObject({ offset: 2 ** 32 - 1, box: 'stco' })
  expect(lastOffset(4e9 + spare + 1)).toMatchObject({ box: 'co64' })
})

test('a segment of 4 GiB is refused', () => {
  expect(() => planned(aVideo(50, {}, 0.1 * GIB), null)).toThrow(MediaFailure)
  expect(() => planned(aVideo(50, {}, 0.1 * GIB), null)).toThrow('one of its segments has 4 GiB')
})

test('a film of twelve hours is planned at once', () => {
  const video = aVideo(43_200 * 25)
  const audio = anAudio(43_200 * 50)
  const began = performance.now()
  const { index } = planned(video, audio)
  // Half a second where nothing else runs.
  expect(performance.now() - began).toBeLessThan(20_000)
  expect(index.video?.durations).toHaveLength(21_600)
})

test('both tracks have all segments, and none lasts where nothing is', () => {
  const { index } = planned(aVideo(75), anAudio(400))
  expect(index.video?.durations).toEqual([2000, 1000, 0, 0])
  expect(index.audio?.durations).toEqual([2000, 1000, 2000, 3000])
  expect(index.video?.lengths.slice(2)).toEqual([0, 0])
  expect(index.video?.keyframeLengths?.slice(2)).toEqual([0, 0])
})

test('the first segment lasts from 0, whenever its first sample is shown', () => {
  const late = planned(aVideo(75, { startTicks: 500 }), anAudio(100, { mediaTime: 20 })).index
  expect(late.video?.durations).toEqual([2500, 1000])
  expect(late.audio?.durations).toEqual([1980, 0])
})

test('the length of a fragment header is told before it is made', () => {
  const shapes = [
    [{}, {}, {}],
    [{ isSync: true }, {}, {}],
    [{ isSync: true }, {}, { isSync: true }],
    [{ isSync: true }, { duration: 3 }, {}],
    [{ isSync: true }, { compositionOffset: 5 }, {}],
    [{ isSync: true }, { compositionOffset: -5 }, { duration: 9, isSync: true }],
    [{ isSync: true }],
  ]
  for (const shape of shapes) {
    const plain = { size: 7, duration: 1, compositionOffset: 0, isSync: false }
    const track = aTrack(shape.map((own) => ({ ...plain, ...own })))
    const range = { from: 0, to: shape.length }
    expect(fragmentHeader(track, range, 1)).toHaveLength(fragmentHeaderLength(track, range))
  }
})
