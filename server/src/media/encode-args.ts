import type { ColorPlan } from './color.ts'
import { encoderThreads, type EncodedRung } from './encoding.ts'
import type { EncodePart } from './parts.ts'
import type { AudioPlan, PosterPlan, SourcePlan, StoryboardPlan } from './plan.ts'
import { HARDENED_INPUT, HARDENED_PROBE } from './whitelist.ts'

/** Decoding begins this long before a chunk, so that filters have seen what comes before it. */
const RUN_UP_S = 1
/** Half a millisecond less than a time means that time, whatever it was rounded to. */
const ROUNDING_S = 0.0005
const GRID_S = 4

interface Run {
  plan: SourcePlan
  part: EncodePart
  /** Cores to be used. */
  threads: number
}

/**
 * The whole command line of one run of the encoder: decoded once, the part's rungs, sound and
 * stills written into the working directory under the plan's file names. A chunk's files begin at
 * time 0. Works with ffmpeg 5.1 to 8. `sourcePath` must be absolute; it is the only text that is
 * not ours.
 */
export function encodeArgs(run: Run, sourcePath: string): string[] {
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

const QUIET = [
  ...['-hide_banner', '-v', 'error', '-nostdin', '-y'],
  ...['-nostats', '-progress', 'pipe:1', '-stats_period', '0.25'],
]

function rungsOf({ plan, part }: Run): EncodedRung[] {
  return plan.rungs.filter(({ name }) => part.rungs.includes(name))
}

/** Where in the source to begin and how much to read. */
function readingOf({ plan, part: { range } }: Run): string[] {
  if (range === null) return ['-t', String(plan.maxSeconds)]
  const begin = Math.max(0, range.from - RUN_UP_S)
  const end = range.to === null ? plan.maxSeconds : range.to + RUN_UP_S
  return [...(begin > 0 ? ['-ss', told(begin)] : []), '-t', told(end - begin)]
}

/** Rotation comes before all this: ffmpeg turns pictures upright by itself. */
export function filterGraph(run: Run): string {
  const { plan, part } = run
  const rungs = rungsOf(run)
  const taps = [...(rungs.length > 0 ? ['[s]'] : []), ...(part.hasStills ? ['[p]', '[b]'] : [])]
  const timed = [...timing(run), ...split(taps)].join(',')
  const audio = part.hasAudio ? plan.audio.filter(({ isCopied }) => !isCopied) : []
  return [
    `[0:${plan.videoStreamIndex}]${timed}${taps.join('')}`,
    ...rungs.map((rung, index) => rungChain(plan.color, rungs, rung, index)),
    ...(part.hasStills ? [posterChain(plan), storyboardChain(plan)] : []),
    ...audio.map(audioChain),
  ].join(';')
}

function split(taps: string[]): string[] {
  return taps.length > 1 ? [`split=${taps.length}`] : []
}

/**
 * Frame dropping is by time since the last kept frame, never `fps=` or `-r`: those fill a gap of
 * 24 hours with frames. 15 ms let 60 fps through whose timestamps are rounded to milliseconds.
 * The first frame of a film is shown from 0 on, so that picture and sound begin together.
 */
function timing({ plan, part: { range } }: Run): string[] {
  const steady = 'select=isnan(prev_selected_t)+gte(t-prev_selected_t\\,0.015)'
  const progressive = plan.deinterlace ? ['bwdif=mode=send_frame:deint=interlaced'] : []
  const isFirst = range === null || range.from === 0
  if (isFirst) {
    return [
      steady,
      'setpts=if(eq(N\\,0)\\,0\\,PTS)',
      ...progressive,
      ...within(0, range?.to ?? null),
    ]
  }
  const length = range.to === null ? null : range.to - range.from
  return [steady, ...progressive, `setpts=PTS-${RUN_UP_S}/TB`, ...within(0, length)]
}

/** The frames from one time on to another, that not included: each is in one chunk and in one only. */
function within(from: number, to: number | null): string[] {
  if (to === null) return from === 0 ? [`select=gte(t\\,-${ROUNDING_S})`] : []
  return [`select=gte(t\\,-${ROUNDING_S})*lt(t\\,${told(to - ROUNDING_S)})`]
}

function rungChain(
  color: ColorPlan,
  rungs: EncodedRung[],
  rung: EncodedRung,
  index: number,
): string {
  const taps = [`[v${index}]`, ...(index + 1 < rungs.length ? [`[s${index}]`] : [])]
  const filters = index === 0 ? normalised(color, rung) : [scale(rung), 'setsar=1']
  const from = index === 0 ? '[s]' : `[s${index - 1}]`
  return `${from}${[...filters, ...split(taps)].join(',')}${taps.join('')}`
}

function normalised(color: ColorPlan, size: Size): string[] {
  return [
    ...colored(color, size),
    'setsar=1',
    'setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709',
  ]
}

/** Scales first: tone-mapping costs much more for each pixel. */
function colored(color: ColorPlan, size: Size): string[] {
  switch (color.kind) {
    case 'sdr':
      return [
        `${scale(size)}${color.fromFullRange ? ':in_range=pc:out_range=tv' : ''}`,
        'format=yuv420p',
        ...(color.fromBt601 ? ['colormatrix=bt601:bt709'] : []),
      ]
    case 'wide_gamut':
      return [
        scale(size),
        `zscale=${zscaleInput(color)}:p=bt709:t=bt709:m=bt709:r=tv`,
        'format=yuv420p',
      ]
    case 'hdr':
      return [
        scale(size),
        `zscale=${zscaleInput(color)}:t=linear:npl=100`,
        'format=gbrpf32le',
        'zscale=p=bt709',
        'tonemap=tonemap=hable:desat=0',
        'zscale=t=bt709:m=bt709:r=tv',
        'format=yuv420p',
      ]
  }
}

interface Size {
  width: number
  height: number
}

/** A filter of the same size and format costs nothing: ffmpeg hands the frames through. */
function scale({ width, height }: Size): string {
  return `scale=${width}:${height}:flags=bicubic`
}

/** Told, as zscale refuses untagged frames. */
function zscaleInput(color: { transfer: string; fromFullRange: boolean }): string {
  const known = ['smpte2084', 'arib-std-b67', 'bt2020-10', 'bt2020-12'].includes(color.transfer)
  const range = color.fromFullRange ? 'pc' : 'tv'
  return `rin=${range}:pin=bt2020:min=bt2020nc:tin=${known ? color.transfer : 'bt709'}`
}

function posterChain({ color, poster }: SourcePlan): string {
  const { fromSeconds, everySeconds } = poster
  const later = `gte(t\\,${fromSeconds})*gte(t-prev_selected_t\\,${everySeconds})`
  return `[p]select=isnan(prev_selected_t)+${later},${asPicture(color, poster)}[poster]`
}

/**
 * A picture for every interval: its first frame, or the one before where it has none. `fps` may be
 * used here, as it makes at most one small picture for every interval of a gap.
 */
function storyboardChain({ color, storyboard }: SourcePlan): string {
  const { everySeconds } = storyboard
  const cell = (time: string): string => `floor((${time}+${ROUNDING_S})/${everySeconds})`
  const isNext = `gt(${cell('t')}\\,${cell('prev_selected_t')})`
  const filters = [
    `select=isnan(prev_selected_t)+${isNext}`,
    asPicture(color, storyboard),
    `fps=1/${everySeconds}:round=down:start_time=0:eof_action=pass`,
  ]
  return `[b]${filters.join(',')}[storyboard]`
}

/** A JPEG is BT.601 in full range, whatever it is tagged. */
function asPicture(color: ColorPlan, size: Size): string {
  return [
    ...normalised(color, size),
    'scale=in_color_matrix=bt709:out_color_matrix=bt601:in_range=tv:out_range=pc',
    'format=yuvj420p',
  ].join(',')
}

/**
 * Gaps become silence, so that sound stays with its picture wherever a player seeks to. The layout
 * asked for by `aformat` is made by `aresample`, whose own option changed its name in ffmpeg 7.
 */
function audioChain({ streamIndex, sampleRateHz }: AudioPlan): string {
  const filters = [
    `aresample=${sampleRateHz}:async=1:first_pts=0:rematrix_maxval=1`,
    'aformat=sample_fmts=fltp:channel_layouts=stereo',
  ]
  return `[0:${streamIndex}]${filters.join(',')}[a${streamIndex}]`
}

function rungOutput(run: Run, rung: EncodedRung, index: number): string[] {
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
function keyframes({ plan: { cuts, parts }, part: { range } }: Run): string {
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

/** Seconds, to the microsecond. */
function told(seconds: number): string {
  return String(Math.round(seconds * 1e6) / 1e6)
}
