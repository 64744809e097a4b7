import { expect, test } from 'vitest'
import { cutsOfCopy, mayCopyAudio, mayCopyVideo } from './copy.ts'
import type { VideoStream } from './media-info.ts'
import { aSource } from './sources.fixture.ts'

const rung = { name: '1080p', width: 1920, height: 1080 } as const

function isCandidate(video: Partial<VideoStream>): boolean {
  return mayCopyVideo(aSource({ level: 40, ...video }), rung)
}

test('only what every player takes as it is may be copied', () => {
  expect(isCandidate({})).toBe(true)
  const others: Partial<VideoStream>[] = [
    { codec: 'hevc' },
    { pixelFormat: 'yuv420p10le' },
    { pixelFormat: 'yuvj420p', isFullRange: true },
    { profile: 'High 4:2:2' },
    { level: 60 },
    { rotationDegrees: 90 },
    { sampleAspectRatio: 4 / 3 },
    { isInterlaced: true },
    { isHdr: true },
    { frameRate: 120 },
    { frameRate: 0 },
    { codedHeight: 1088 },
    { bitrateBps: 20_000_000 },
  ]
  for (const other of others) expect([other, isCandidate(other)]).toEqual([other, false])
})

const copied = {
  ...{ syncTimes: [0, 10.4, 11.9, 15.8, 23], isStitchable: true, durationSeconds: 30 },
  ...{ averageBps: 5e6, peakBps4s: 9e6 },
}

test('segments begin at keyframes, none shorter than two seconds', () => {
  expect(cutsOfCopy(copied, rung)).toEqual([0, 10.4, 15.8, 23])
})

test('what cannot be played in segments is not copied', () => {
  const others = [
    { isStitchable: false },
    { syncTimes: [] },
    { syncTimes: [5] },
    { syncTimes: [0, 13, 20] },
    { durationSeconds: 40 },
    { averageBps: 12e6 },
    { peakBps4s: 50e6 },
  ]
  for (const other of others) {
    expect([other, cutsOfCopy({ ...copied, ...other }, rung)]).toEqual([other, null])
  }
})

test('sound is copied if browsers play it and its packets have no gaps', () => {
  const aac = {
    ...{ streamIndex: 1, codec: 'aac', profile: 'LC', channels: 2, sampleRateHz: 48_000 },
    bitrateBps: 128_000,
  }
  const may = (given: object, container = 'mov,mp4,m4a,3gp,3g2,mj2'): boolean =>
    mayCopyAudio({ ...aSource(), container }, { ...aac, ...given })
  expect(may({})).toBe(true)
  expect(may({}, 'matroska,webm')).toBe(false)
  for (const other of [
    { codec: 'ac3' },
    { profile: 'HE-AAC' },
    { channels: 6 },
    { sampleRateHz: 96_000 },
    { bitrateBps: 320_000 },
  ]) {
    expect([other, may(other)]).toEqual([other, false])
  }
})
