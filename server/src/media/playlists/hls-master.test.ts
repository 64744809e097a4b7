import { parse, type types } from 'hls-parser'
import { describe, expect, test } from 'vitest'
import { aFilm, aRichFilm } from './films.fixture.ts'
import { masterPlaylist } from './hls-master.ts'

const urlOf = (name: string): string => `/${name}.m3u8`

test('a film with sound has a variant for each rendition', () => {
  expect(masterPlaylist(aFilm(), urlOf)).toBe(`#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="/audio-0.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=1166622,AVERAGE-BANDWIDTH=1067618,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=23.976,AUDIO="audio",CLOSED-CAPTIONS=NONE
/video-720p.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=387401,AVERAGE-BANDWIDTH=361658,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=23.976,AUDIO="audio",CLOSED-CAPTIONS=NONE
/video-360p.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2205583,AVERAGE-BANDWIDTH=2008899,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1920x1080,FRAME-RATE=23.976,AUDIO="audio",CLOSED-CAPTIONS=NONE
/video-1080p.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=49951,AVERAGE-BANDWIDTH=44401,CODECS="avc1.64001f",RESOLUTION=640x360,URI="/iframes-360p.m3u8"
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=199801,AVERAGE-BANDWIDTH=177601,CODECS="avc1.64001f",RESOLUTION=1280x720,URI="/iframes-720p.m3u8"
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=399601,AVERAGE-BANDWIDTH=355201,CODECS="avc1.64001f",RESOLUTION=1920x1080,URI="/iframes-1080p.m3u8"
`)
})

test('a silent film of one rendition has neither groups nor codecs of sound', () => {
  const film = aFilm({ audio: [], renditions: aFilm().renditions.slice(0, 1) })
  const text = masterPlaylist(film, urlOf)
  expect(text).not.toContain('#EXT-X-MEDIA')
  expect(text).toContain(
    '#EXT-X-STREAM-INF:BANDWIDTH=259741,AVERAGE-BANDWIDTH=235321,CODECS="avc1.64001f",RESOLUTION=640x360,FRAME-RATE=23.976,CLOSED-CAPTIONS=NONE\n/video-360p.m3u8\n',
  )
  expect(variantsOf(text)).toHaveLength(1)
})

describe('languages', () => {
  const text = masterPlaylist(aRichFilm(), urlOf)
  const tagsOf = (type: string): string[] =>
    text.split('\n').filter((line) => line.startsWith(`#EXT-X-MEDIA:TYPE=${type}`))

  test('of sound have distinct names, and one of each kind may be chosen without asking', () => {
    expect(tagsOf('AUDIO')).toEqual([
      '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="/audio-0.m3u8"',
      '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Deutsch ’5.1’",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="6",URI="/audio-1.m3u8"',
      '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="English (2)",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=NO,CHANNELS="2",URI="/audio-2.m3u8"',
    ])
  })

  test('of subtitles, too; forced ones are a kind of their own', () => {
    expect(tagsOf('SUBTITLES')).toEqual([
      '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subtitles",NAME="Français <&>",LANGUAGE="fr",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="/subtitles-7.m3u8"',
      '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subtitles",NAME="Français <&> (2)",LANGUAGE="fr",DEFAULT=NO,AUTOSELECT=YES,FORCED=YES,URI="/subtitles-8.m3u8"',
      '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subtitles",NAME="Track",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="/subtitles-9.m3u8"',
    ])
  })

  test('are found by another reader in every variant', () => {
    for (const { audio, subtitles } of variantsOf(text)) {
      expect(audio.map(({ language }) => language)).toEqual(['en', 'de', 'en'])
      expect(subtitles.map(({ forced }) => forced)).toEqual([false, true, false])
    }
  })
})

test('what plays first is the best that a usual line carries, else the worst', () => {
  const firstOf = (factor: number): string | undefined => {
    const film = aFilm()
    for (const { video } of film.renditions) {
      video.lengths = video.lengths.map((length) => length * factor)
    }
    return variantsOf(masterPlaylist(film, urlOf))[0]?.uri
  }
  expect(firstOf(0.01)).toBe('/video-1080p.m3u8')
  expect(firstOf(1)).toBe('/video-720p.m3u8')
  expect(firstOf(100)).toBe('/video-360p.m3u8')
})

test('a frame rate that is unknown is left out', () => {
  const film = aFilm()
  for (const rendition of film.renditions) rendition.frameRate = '0/0'
  expect(masterPlaylist(film, urlOf)).not.toContain('FRAME-RATE')
})

test('whatever people call a track, the playlist has the same lines', () => {
  for (const label of [
    'a"b',
    'a\nb',
    'a\r\n#EXT-X-ENDLIST',
    '\u0000',
    '\u2028',
    '\ud800',
    ',X=1',
  ]) {
    const film = aFilm()
    for (const track of film.audio) track.label = label
    const text = masterPlaylist(film, urlOf)
    expect(text.split(/[\r\n\u2028]/)).toHaveLength(14)
    expect(variantsOf(text)[0]?.audio).toHaveLength(1)
  }
})

function variantsOf(text: string): types.Variant[] {
  return (parse(text) as types.MasterPlaylist).variants.filter((each) => !each.isIFrameOnly)
}
