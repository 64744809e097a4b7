import { expect, test } from 'vitest'
import { MediaFailure } from '../failure.ts'
import { aacConfig, avcCodec } from './codec-string.ts'
import { AVCC, esdsWith } from './tracks.fixture.ts'

test('pictures are told by profile, constraints and level', () => {
  expect(avcCodec(AVCC)).toBe('avc1.64000b')
  expect(() => avcCodec(AVCC.subarray(0, 3))).toThrow(MediaFailure)
})

test('sound is told by its object type', () => {
  expect(aacConfig(esdsWith('1190'))).toEqual({ codec: 'mp4a.40.2', channels: 2 })
  expect(aacConfig(esdsWith('11b0'))).toEqual({ codec: 'mp4a.40.2', channels: 6 })
  expect(aacConfig(esdsWith('11b8'))).toEqual({ codec: 'mp4a.40.2', channels: 8 })
  // HE-AAC, told first: 24 kHz, then what it becomes.
  expect(aacConfig(esdsWith('2b118800'))).toEqual({ codec: 'mp4a.40.5', channels: 2 })
  expect(aacConfig(esdsWith('eb098800'))).toEqual({ codec: 'mp4a.40.29', channels: 1 })
})

test('an odd sample rate, an escaped object type and channels told elsewhere', () => {
  // 5 bits of 2, 4 bits of 15, 24 bits of rate, 4 bits of 0.
  expect(aacConfig(esdsWith('178055f000'))).toEqual({ codec: 'mp4a.40.2', channels: null })
  // 5 bits of 31, 6 bits of 10, 4 bits of 3, 4 bits of 2.
  expect(aacConfig(esdsWith('f94640'))).toEqual({ codec: 'mp4a.40.42', channels: 2 })
})

test('what is not AAC or ends early is refused', () => {
  expect(() => aacConfig(esdsWith('1190', 0x6b))).toThrow('its sound is not AAC')
  expect(() => aacConfig(esdsWith('11'))).toThrow('its sound does not describe itself')
  const whole = esdsWith('1190')
  for (let length = 0; length < whole.length; length += 1) {
    expect(() => aacConfig(whole.subarray(0, length))).toThrow(MediaFailure)
  }
})
