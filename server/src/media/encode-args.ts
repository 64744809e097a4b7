import { encoderThreads, type EncodedRung } from './encoding.ts'
import {
  audioChain,
  filterGraph,
  ROUNDING_S,
  RUN_UP_S,
  rungsOf,
  told,
  type EncoderRun,
} from './filter-graph.ts'
import type { AudioPlan, PosterPlan, SourcePlan, StoryboardPlan } from './plan.ts'
import { HARDENED_INPUT, HARDENED_PROBE } from './whitelist.ts'

/** Of the grid of keyframes, in seconds. */
const GRID_S = 4

/**
 * The whole command line of one run of the encoder: decoded once, the part's rungs, sound and
 * stills written into the working directory under the plan's file names. A chunk's files begin at
 * time 0. Works with ffmpeg 5.1 to 8. `sourcePath` must be absolute; it is the only text that is
 * not ours.
 */
export function encodeArgs(run: EncoderRun, sourcePath: string): string[] {
  const { plan, part } = run
  const rungs = rungsOf(run)
  return [
    ...QUIET,
    ...['-filter_complex_threads', '1'],
    ...HARDENED_INPUT,
    ...['-threads', String(run.threads), ...readingOf(run), '-i', `file:${sourcePath}`],
    ...['-filter_complex', filterGraph(run)],
    ...rungs.flatMap((rung, index) => rungOutput(run, rung, index)),
    ...(part.hasAudio ? plan.audio.flatMap(audioOutput) : []),
    ...(part.hasStills ? stillsOutput(plan) : []),
  ]
}

/**
 * Copies the picture and makes the sound that goes with it, without decoding a picture. Messages
 * inside the stream (SEI, ITU-T H.264 Annex D) stay behind: they may tell where it was filmed.
 */
export function copyArgs(
  plan: Pick<SourcePlan, 'videoStreamIndex' | 'audio' | 'maxSeconds'>,
  file: string,
  sourcePath: string,
): string[] {
  const encoded = plan.audio.filter(({ isCopied }) => !isCopied)
  const graph = encoded.map((audio) => audioChain(audio))
  return [
    ...QUIET,
    ...HARDENED_PROBE,
    ...['-t', String(plan.maxSeconds), '-i', `file:${sourcePath}`],
    ...(graph.length > 0 ? ['-filter_complex', graph.join(';')] : []),
    ...['-map', `0:${plan.videoStreamIndex}`, ...ANONYMOUS, '-c:v', 'copy'],
    ...['-bsf:v', 'filter_units=remove_types=6', '-f', 'mp4', file],
    ...plan.audio.flatMap(audioOutput),
  ]
}

/**
 * Makes one track of sound again, with silence behind it until the picture ends. Players that read picture and sound
 * apart take the end of the shorter one for the end of the film.
 */
export function paddedAudioArgs(audio: AudioPlan, seconds: number, sourcePath: string): string[] {
  const encoded = { ...audio, isCopied: false }
  const padded = `apad=whole_dur=${told(seconds)}`
  const graph = audioChain(encoded).replace(/(?=\[a\d+\]$)/, `,${padded}`)
  return [
    ...QUIET,
    ...[...HARDENED_INPUT, '-i', `file:${sourcePath}`],
    ...['-filter_complex', graph],
    ...audioOutput(encoded),
  ]
}

/** Complaints alone on stderr, and progress on stdout four times a second. */
export const QUIET = [
  ...['-hide_banner', '-v', 'error', '-nostdin', '-y'],
  ...['-nostats', '-progress', 'pipe:1', '-stats_period', '0.25'],
]

/** Where in the source to begin and how much to read. */
function readingOf({ plan, part: { range } }: EncoderRun): string[] {
  if (range === null) return ['-t', String(plan.maxSeconds)]
  const begin = Math.max(0, range.from - RUN_UP_S)
  const end = range.to === null ? plan.maxSeconds : range.to + RUN_UP_S
  return [...(begin > 0 ? ['-ss', told(begin)] : []), '-t', told(end - begin)]
}

function rungOutput(run: EncoderRun, rung: EncodedRung, index: number): string[] {
  const { timescale, frameTicks } = run.plan
  const threads = encoderThreads(rung, run.threads)
  return [
    ...['-map', `[v${index}]`, ...ANONYMOUS, '-fps_mode', 'vfr'],
    ...['-enc_time_base', `1:${timescale}`, '-video_track_timescale', String(timescale)],
    ...['-c:v', 'libx264', '-preset', rung.preset, '-profile:v', 'high', '-pix_fmt', 'yuv420p'],
    ...['-x264-params', rung.x264Params, '-crf', String(rung.crf)],
    ...['-maxrate', String(rung.maxrateBps), '-bufsize', String(rung.bufsizeBits)],
    ...['-threads', String(threads), '-force_key_frames', keyframes(run)],
    ...['-forced-idr', '1', '-sc_threshold', '0', '-g', '900'],
    ...['-color_range', 'tv', '-colorspace', 'bt709', '-color_primaries', 'bt709'],
    ...['-color_trc', 'bt709', '-bsf:v', lasting(frameTicks)],
    // An offset at the start is written in the movie's clock, which is milliseconds if not told.
    ...['-movie_timescale', String(timescale), '-f', 'mp4', rung.file],
  ]
}

/**
 * The first frame of every four seconds, by time: the same in every rung, as all see the same
 * timestamps. With a copied rung, the frames that are its keyframes.
 *
 * NOTE: ffmpeg counts `t` from the first frame of the output, not from 0. A chunk's first frame is
 * a little behind the chunk's beginning, so there the four seconds begin with it; a run over the
 * whole film that goes with chunks begins anew where they do.
 */
function keyframes({ plan: { cuts, parts }, part: { range } }: EncoderRun): string {
  if (cuts !== null) {
    const { from, to } = range ?? { from: 0, to: null }
    const inside = cuts.filter((cut) => cut > from && cut < (to ?? Infinity))
    return ['0', ...inside.map((cut) => told(cut - from - 4 * ROUNDING_S))].join(',')
  }
  const chunks = parts.flatMap((each) => each.range ?? [])
  const chunkSeconds = chunks[1]?.from
  if (range !== null || chunkSeconds === undefined) {
    return `expr:isnan(prev_forced_t)+${isLaterCell('0')}`
  }
  const chunk = (time: string): string =>
    `min(floor((${time}+${ROUNDING_S})/${chunkSeconds}),${chunks.length - 1})`
  // Variable 0: the first frame of the chunk.
  const within = `if(gt(${chunk('t')},${chunk('prev_forced_t')}),st(0,t)*0+1,${isLaterCell('ld(0)')})`
  return `expr:if(isnan(prev_forced_t),1,${within})`
}

function isLaterCell(origin: string): string {
  const cell = (time: string): string => `floor((${time}-${origin}+${ROUNDING_S})/${GRID_S})`
  return `gt(${cell('t')},${cell('prev_forced_t')})`
}

/** ffmpeg 7 gives the last frame no duration: a film of one frame would last no time at all. */
function lasting(frameTicks: number): string {
  return `setts=pts=PTS:dts=DTS:duration=if(gt(DURATION\\,0)\\,DURATION\\,${frameTicks})`
}

function audioOutput(audio: AudioPlan): string[] {
  const how = audio.isCopied
    ? ['-map', `0:${audio.streamIndex}`, ...ANONYMOUS, '-c:a', 'copy']
    : [
        ...['-map', `[a${audio.streamIndex}]`, ...ANONYMOUS],
        ...['-c:a', 'aac', '-b:a', String(audio.bitrateBps)],
      ]
  return [...how, '-f', 'mp4', audio.file]
}

function stillsOutput({ poster, storyboard }: SourcePlan): string[] {
  return [...posterOutput(poster), ...storyboardOutput(storyboard)]
}

function posterOutput(poster: PosterPlan): string[] {
  return [
    ...['-map', '[poster]', ...ANONYMOUS, '-fps_mode', 'vfr', '-c:v', 'mjpeg', '-q:v', '3'],
    ...['-frames:v', String(poster.candidates), '-f', 'image2', poster.filePattern],
  ]
}

function storyboardOutput({ file }: StoryboardPlan): string[] {
  return [
    ...['-map', '[storyboard]', ...ANONYMOUS, '-fps_mode', 'vfr', '-c:v', 'mjpeg', '-q:v', '3'],
    ...['-f', 'mjpeg', file],
  ]
}

/** Titles, places, chapters and the name of the encoder stay behind. */
const ANONYMOUS = ['-map_metadata', '-1', '-map_chapters', '-1', '-fflags', '+bitexact']
