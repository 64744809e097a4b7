import type { ByteSpan, TrackFragments } from '../mp4/fragment-index.ts'
import { languageTag } from './language.ts'
import type {
  Presentation,
  PresentedAudio,
  PresentedRendition,
  PresentedSubtitles,
} from './presentation.ts'
import { longestSeconds, peakBps, segmentsOf, totalSeconds } from './segments.ts'
import { distinctLabels } from './tracks.ts'
import { element, textElement } from './xml.ts'

const ROLES = 'urn:mpeg:dash:role:2011'

/**
 * The manifest (MPD, ISO/IEC 23009-1 §5): static, lists of byte ranges over one file a representation. `urlOf` gives the
 * URL of an object; it stands once for each representation. Small pictures for seeking are left out: the DASH-IF's tiles
 * take a template, which signed URLs are not, and players that accept a list misjudge the last sheet.
 */
export function dashManifest(film: Presentation, urlOf: (objectKey: string) => string): string {
  const tracks = [...film.renditions.map((each) => each.video), ...film.audio.map((a) => a.audio)]
  const segments = tracks.map(segmentsOf)
  const labels = {
    audio: distinctLabels(film.audio.map((each) => each.label)),
    subtitles: distinctLabels(film.subtitles.map((each) => each.label)),
  }
  const mpd = element(
    'MPD',
    {
      xmlns: 'urn:mpeg:dash:schema:mpd:2011',
      profiles: 'urn:mpeg:dash:profile:isoff-main:2011',
      type: 'static',
      mediaPresentationDuration: duration(Math.max(...segments.map(totalSeconds))),
      minBufferTime: duration(Math.max(...segments.map(longestSeconds))),
    },
    [
      element('Period', { id: '0', start: 'PT0S' }, [
        videoSet(film.renditions, urlOf),
        ...film.audio.map((each, index) => audioSet(each, labels.audio[index] ?? '', urlOf)),
        ...film.subtitles.map((each, index) =>
          subtitlesSet(each, labels.subtitles[index] ?? '', urlOf),
        ),
      ]),
    ],
  )
  return `<?xml version="1.0" encoding="UTF-8"?>\n${mpd}\n`
}

function videoSet(renditions: PresentedRendition[], urlOf: (key: string) => string): string {
  return element(
    'AdaptationSet',
    {
      contentType: 'video',
      mimeType: 'video/mp4',
      segmentAlignment: 'true',
      startWithSAP: 1,
      maxWidth: Math.max(...renditions.map(({ width }) => width)),
      maxHeight: Math.max(...renditions.map(({ height }) => height)),
    },
    renditions.map(({ quality, objectKey, width, height, frameRate, video }) =>
      element(
        'Representation',
        {
          id: `video-${quality}`,
          codecs: video.codec,
          width,
          height,
          frameRate: frameRate.replace(/\/1$/, ''),
          sar: '1:1',
          bandwidth: peakBps(segmentsOf(video)),
        },
        [textElement('BaseURL', urlOf(objectKey)), segmentList(video)],
      ),
    ),
  )
}

/** A language each, so that players offer them for choice. */
function audioSet(track: PresentedAudio, label: string, urlOf: (key: string) => string): string {
  const { position, objectKey, language, channels, audio } = track
  const configuration = channelConfiguration(channels)
  return element(
    'AdaptationSet',
    {
      contentType: 'audio',
      mimeType: 'audio/mp4',
      lang: languageTag(language) ?? 'und',
      segmentAlignment: 'true',
      startWithSAP: 1,
    },
    [
      ...(configuration === null ? [] : [configuration]),
      textElement('Label', label),
      element('Role', { schemeIdUri: ROLES, value: position === 0 ? 'main' : 'alternate' }),
      element(
        'Representation',
        { id: `audio-${position}`, codecs: audio.codec, bandwidth: peakBps(segmentsOf(audio)) },
        [textElement('BaseURL', urlOf(objectKey)), segmentList(audio)],
      ),
    ],
  )
}

/** ISO/IEC 23091-3: the number of a layout is that of its channels up to 5.1; 6.1 and 7.1 are further down the table. */
function channelConfiguration(channels: number): string | null {
  const value = { 7: 11, 8: 12 }[channels] ?? channels
  if (channels < 1 || channels > 8) return null
  const schemeIdUri = 'urn:mpeg:mpegB:cicp:ChannelConfiguration'
  return element('AudioChannelConfiguration', { schemeIdUri, value })
}

function subtitlesSet(
  track: PresentedSubtitles,
  label: string,
  urlOf: (key: string) => string,
): string {
  const role = track.isForced ? 'forced-subtitle' : 'subtitle'
  return element(
    'AdaptationSet',
    { contentType: 'text', mimeType: 'text/vtt', lang: languageTag(track.language) ?? 'und' },
    [
      textElement('Label', label),
      element('Role', { schemeIdUri: ROLES, value: role }),
      // Text is so little that nobody chooses by it, yet the attribute is mandatory.
      element('Representation', { id: `subtitles-${track.id}`, bandwidth: 256 }, [
        textElement('BaseURL', urlOf(track.objectKey)),
      ]),
    ],
  )
}

/**
 * ISO/IEC 23009-1 §5.3.9.3: ranges, and the timeline that they follow. Its attribute `r` (§5.3.9.6) is not used: dash.js 5
 * finds a SegmentURL by the number of the `S`, without counting repetitions, and would fetch one segment again and again.
 * There are thousands of both, of numbers only, so they are not built as elements are.
 */
function segmentList(track: TrackFragments): string {
  const present = [...track.lengths.keys()].filter((index) => track.lengths[index] !== 0)
  const timeline = present.map((index, at) => {
    return `<S${at === 0 ? ' t="0"' : ''} d="${track.durations[index]}"/>`
  })
  const ranges = present.map((index) => {
    const span: ByteSpan = [track.offsets[index] ?? 0, track.lengths[index] ?? 0]
    return `<SegmentURL mediaRange="${range(span)}"/>`
  })
  return element('SegmentList', { timescale: track.timescale }, [
    element('Initialization', { range: range(track.init) }),
    element('SegmentTimeline', {}, timeline),
    ...ranges,
  ])
}

/** First and last byte, both included (RFC 9110 §14.1.1). */
function range([offset, length]: ByteSpan): string {
  return `${offset}-${offset + length - 1}`
}

function duration(seconds: number): string {
  return `PT${seconds.toFixed(6)}S`
}
