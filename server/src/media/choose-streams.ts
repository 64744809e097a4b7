import { MediaFailure } from './failure.ts'
import type { Stream } from './probe-answer.ts'
import { AUDIO_CODECS, MAX_PIXELS, SUBTITLE_CODECS, VIDEO_CODECS } from './whitelist.ts'

const SHORTEST_SIDE = 16
const LONGEST_SIDE = 8192
const FLATTEST = 20
const MOST_AUDIO_TRACKS = 8
const MOST_SUBTITLES = 32

/** Which streams of a source are used. Throws MediaFailure where no film can come of it. */
export function chooseVideo(streams: Stream[]): Stream {
  const pictures = streams.filter(
    (stream) => stream.codec_type === 'video' && stream.disposition.attached_pic !== 1,
  )
  const chosen = preferred(pictures, VIDEO_CODECS)
  if (chosen === null) {
    const sentence = streams.some((stream) => stream.codec_type === 'audio')
      ? 'The file has sound but no moving picture. Upload a film.'
      : 'The file has no moving picture. Upload a film.'
    throw new MediaFailure('no_video_stream', sentence)
  }
  if (!VIDEO_CODECS.has(chosen.codec_name ?? '')) {
    throw unsupportedCodec('picture', chosen.codec_name)
  }
  refuseSize(chosen)
  return chosen
}

/** The main one first; none where there is no sound. */
export function chooseAudio(streams: Stream[]): Stream[] {
  const sounds = streams.filter((stream) => stream.codec_type === 'audio')
  const main = preferred(sounds, AUDIO_CODECS)
  if (main === null) return []
  if (!AUDIO_CODECS.has(main.codec_name ?? '')) throw unsupportedCodec('sound', main.codec_name)
  if (!isPresent(main)) return []
  const others = sounds.filter(
    (stream) => stream !== main && AUDIO_CODECS.has(stream.codec_name ?? '') && isPresent(stream),
  )
  return [main, ...others.slice(0, MOST_AUDIO_TRACKS - 1)]
}

/** Some are announced but never there: nothing to encode. */
function isPresent(sound: Stream): boolean {
  return Boolean(sound.channels && sound.sample_rate)
}

export function chooseSubtitles(streams: Stream[]): Stream[] {
  return streams
    .filter(
      (stream) => stream.codec_type === 'subtitle' && SUBTITLE_CODECS.has(stream.codec_name ?? ''),
    )
    .slice(0, MOST_SUBTITLES)
}

/** The default one of those we can decode, else the first of those, else the first. */
function preferred(streams: Stream[], codecs: ReadonlySet<string>): Stream | null {
  const known = streams.filter((stream) => codecs.has(stream.codec_name ?? ''))
  return known.find((stream) => stream.disposition.default === 1) ?? known[0] ?? streams[0] ?? null
}

export function unsupportedCodec(what: string, codec = 'unknown'): MediaFailure {
  const name = /^[a-z0-9_]{1,32}$/.test(codec) ? codec : 'unknown'
  return new MediaFailure(
    'unsupported_codec',
    `The ${what} is coded in a way that is not accepted (${name}). Convert the film to H.264 and AAC, then upload it again.`,
  )
}

function refuseSize({ width = 0, height = 0 }: Stream): void {
  const [shorter, longer] = [Math.min(width, height), Math.max(width, height)]
  if (longer === 0) {
    throw new MediaFailure(
      'undecodable',
      'No picture of the film can be decoded. Check that it plays, then upload it again.',
    )
  }
  const told = `The picture has ${width}×${height} pixels`
  if (shorter < SHORTEST_SIDE) {
    throw new MediaFailure(
      'too_small_picture',
      `${told}; at least ${SHORTEST_SIDE} are needed in both directions.`,
    )
  }
  if (width * height > MAX_PIXELS) throw tooManyPixels()
  if (longer > LONGEST_SIDE || longer > FLATTEST * shorter) {
    throw new MediaFailure(
      'too_large_picture',
      `${told}; at most ${LONGEST_SIDE} in one direction and ${FLATTEST}:1 are accepted. Scale it down, then upload it again.`,
    )
  }
}

export function tooManyPixels(): MediaFailure {
  const megapixels = Math.round(MAX_PIXELS / 1e6)
  return new MediaFailure(
    'too_large_picture',
    `The picture has more than ${megapixels} megapixels. Scale it down, then upload it again.`,
  )
}
