import type { Presentation, PresentedRendition } from './presentation.ts'
import { attributes, quoted } from './hls-attributes.ts'
import { HLS_VERSION } from './hls-media.ts'
import { languageTag } from './language.ts'
import { averageBps, keyframesOf, peakBps, segmentsOf } from './segments.ts'
import { byChoice, distinctLabels } from './tracks.ts'

const AUDIO_GROUP = 'audio'
const SUBTITLES_GROUP = 'subtitles'

/**
 * The master playlist (RFC 8216 §4.3.4): one variant a rendition, sound and subtitles in groups of their own, since they
 * are the same whatever the picture. `urlOf` gives the URL of a media playlist: `video-720p`, `iframes-720p`, `audio-0`
 * (by position), `subtitles-3` (by id).
 */
export function masterPlaylist(film: Presentation, urlOf: (name: string) => string): string {
  const sound = soundOf(film)
  return [
    '#EXTM3U',
    `#EXT-X-VERSION:${HLS_VERSION}`,
    '#EXT-X-INDEPENDENT-SEGMENTS',
    ...audioTags(film, urlOf),
    ...subtitleTags(film, urlOf),
    ...firstChoiceFirst(film.renditions, sound.peakBps).flatMap((rendition) => [
      variantTag(film, rendition, sound),
      urlOf(`video-${rendition.quality}`),
    ]),
    ...film.renditions.map((rendition) => iframeTag(rendition, urlOf)),
    '',
  ].join('\n')
}

interface Sound {
  codecs: string[]
  peakBps: number
  averageBps: number
}

/** RFC 8216 §4.3.4.2: the largest sum that any combination of renditions yields, and the codecs of all. */
function soundOf({ audio }: Presentation): Sound {
  const tracks = audio.map((each) => segmentsOf(each.audio))
  return {
    codecs: [...new Set(audio.map((each) => each.audio.codec))],
    peakBps: Math.max(0, ...tracks.map(peakBps)),
    averageBps: Math.max(0, ...tracks.map(averageBps)),
  }
}

function audioTags({ audio }: Presentation, urlOf: (name: string) => string): string[] {
  const labels = distinctLabels(audio.map((each) => each.label))
  const chosen = byChoice(audio.map((each) => languageTag(each.language)))
  return audio.map((each, index) => {
    const language = languageTag(each.language)
    return `#EXT-X-MEDIA:${attributes({
      TYPE: 'AUDIO',
      'GROUP-ID': quoted(AUDIO_GROUP),
      NAME: quoted(labels[index] ?? ''),
      LANGUAGE: language && quoted(language),
      DEFAULT: index === 0 ? 'YES' : 'NO',
      AUTOSELECT: index === 0 || chosen[index] ? 'YES' : 'NO',
      CHANNELS: quoted(String(each.channels)),
      URI: quoted(urlOf(`audio-${each.position}`)),
    })}`
  })
}

function subtitleTags({ subtitles }: Presentation, urlOf: (name: string) => string): string[] {
  const labels = distinctLabels(subtitles.map((each) => each.label))
  const chosen = byChoice(
    subtitles.map((each) => `${each.isForced} ${languageTag(each.language) ?? ''}`),
  )
  return subtitles.map((each, index) => {
    const language = languageTag(each.language)
    return `#EXT-X-MEDIA:${attributes({
      TYPE: 'SUBTITLES',
      'GROUP-ID': quoted(SUBTITLES_GROUP),
      NAME: quoted(labels[index] ?? ''),
      LANGUAGE: language && quoted(language),
      DEFAULT: 'NO',
      AUTOSELECT: chosen[index] ? 'YES' : 'NO',
      FORCED: each.isForced ? 'YES' : 'NO',
      URI: quoted(urlOf(`subtitles-${each.id}`)),
    })}`
  })
}

function variantTag(film: Presentation, rendition: PresentedRendition, sound: Sound): string {
  const segments = segmentsOf(rendition.video)
  return `#EXT-X-STREAM-INF:${attributes({
    BANDWIDTH: peakBps(segments) + sound.peakBps,
    'AVERAGE-BANDWIDTH': averageBps(segments) + sound.averageBps,
    CODECS: quoted([rendition.video.codec, ...sound.codecs].join(',')),
    RESOLUTION: `${rendition.width}x${rendition.height}`,
    'FRAME-RATE': framesPerSecond(rendition.frameRate),
    AUDIO: film.audio.length > 0 ? quoted(AUDIO_GROUP) : null,
    SUBTITLES: film.subtitles.length > 0 ? quoted(SUBTITLES_GROUP) : null,
    'CLOSED-CAPTIONS': 'NONE',
  })}`
}

function iframeTag(rendition: PresentedRendition, urlOf: (name: string) => string): string {
  const segments = keyframesOf(rendition.video)
  return `#EXT-X-I-FRAME-STREAM-INF:${attributes({
    BANDWIDTH: peakBps(segments),
    'AVERAGE-BANDWIDTH': averageBps(segments),
    CODECS: quoted(rendition.video.codec),
    RESOLUTION: `${rendition.width}x${rendition.height}`,
    URI: quoted(urlOf(`iframes-${rendition.quality}`)),
  })}`
}

/** RFC 8216 §4.3.4.2: rounded to three decimals. Null where it is unknown. */
function framesPerSecond(fraction: string): string | null {
  const [numerator = 0, denominator = 1] = fraction.split('/').map(Number)
  const frames = numerator / denominator
  return Number.isFinite(frames) && frames > 0 ? frames.toFixed(3) : null
}

/**
 * Apple's "HLS Authoring Specification" §9: what a player on Wi-Fi should begin with. Players begin with the first variant
 * before they have measured anything: with the best, a slow line waits for seconds; with the worst, everybody sees mud.
 */
const FIRST_CHOICE_BPS = 2_000_000

function firstChoiceFirst(
  renditions: PresentedRendition[],
  soundBps: number,
): PresentedRendition[] {
  const light = renditions.filter(
    ({ video }) => peakBps(segmentsOf(video)) + soundBps <= FIRST_CHOICE_BPS,
  )
  const first = light.at(-1) ?? renditions[0]
  return renditions.toSorted((one, other) => Number(other === first) - Number(one === first))
}
