import { parse, type types } from 'hls-parser'
import { expect, test } from 'vitest'
import { AUDIO, BOTH, VIDEO } from './films.fixture.ts'
import { iframePlaylist, muxedPlaylist, subtitlesPlaylist, trackPlaylist } from './hls-media.ts'

const URL = 'https://films.example.com/media/720p.mp4?expires=9&signature=a'

test('the playlist of a track is ranges of its file', () => {
  expect(trackPlaylist(VIDEO, URL)).toBe(`#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="${URL}",BYTERANGE="700@1000"
#EXTINF:2.002000,
#EXT-X-BYTERANGE:250000@5000
${URL}
#EXTINF:2.002000,
#EXT-X-BYTERANGE:260000@305000
${URL}
#EXTINF:0.500500,
#EXT-X-BYTERANGE:20000@605000
${URL}
#EXT-X-ENDLIST
`)
})

test('sound that ends early has a shorter playlist', () => {
  expect(rangesOf(trackPlaylist(AUDIO, URL))).toEqual([
    [255_000, 32_000],
    [565_000, 31_000],
  ])
})

test('picture and sound together have the initialisation of both', () => {
  const text = muxedPlaylist(BOTH, URL) ?? ''
  expect(text).toContain(`#EXT-X-MAP:URI="${URL}",BYTERANGE="1200@2300"`)
  expect(rangesOf(text)).toEqual([
    [5000, 282_000],
    [305_000, 291_000],
    [605_000, 20_000],
  ])
})

test('a silent film has its picture for both', () => {
  expect(muxedPlaylist({ ...BOTH, audio: null, initBoth: null }, URL)).toBe(
    trackPlaylist(VIDEO, URL),
  )
})

test('winding needs the keyframes only', () => {
  const text = iframePlaylist(VIDEO, URL)
  expect(text).toContain('#EXT-X-I-FRAMES-ONLY\n')
  expect(rangesOf(text)).toEqual([
    [5000, 40_000],
    [305_000, 50_000],
    [605_000, 10_000],
  ])
})

test('subtitles are one segment, as long as the film', () => {
  expect(subtitlesPlaylist(63.5, 'https://films.example.com/media/s.vtt')).toBe(`#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:64
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXTINF:63.500000,
https://films.example.com/media/s.vtt
#EXT-X-ENDLIST
`)
})

test('another reader finds nothing missing', () => {
  const playlist = parsed(trackPlaylist(VIDEO, URL))
  expect(playlist).toMatchObject({
    version: 7,
    targetDuration: 2,
    playlistType: 'VOD',
    endlist: true,
    independentSegments: true,
  })
  expect(playlist.segments.map(({ map }) => map?.byterange)).toEqual(
    playlist.segments.map(() => ({ offset: 1000, length: 700 })),
  )
  expect(parsed(iframePlaylist(VIDEO, URL)).isIFrame).toBe(true)
  expect(parsed(subtitlesPlaylist(0, URL)).segments).toHaveLength(1)
})

function parsed(text: string): types.MediaPlaylist {
  return parse(text) as types.MediaPlaylist
}

function rangesOf(text: string): [number, number][] {
  return parsed(text).segments.map(({ byterange }) => [
    byterange?.offset ?? -1,
    byterange?.length ?? -1,
  ])
}
