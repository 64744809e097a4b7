import type { ColorPlan } from './color.ts'
import type { EncodedRung } from './encoding.ts'
import type { EncodePart } from './parts.ts'
import type { AudioPlan, SourcePlan } from './plan.ts'

/** Decoding begins this long before a chunk, so that filters have seen what comes before it. */
export const RUN_UP_S = 1
/** Half a millisecond less than a time means that time, whatever it was rounded to. */
export const ROUNDING_S = 0.0005

/** One run of the encoder. */
export interface EncoderRun {
  plan: SourcePlan
  part: EncodePart
  /** Cores to be used. */
  threads: number
}

/** The rungs of the part, the largest first. */
export function rungsOf({ plan, part }: EncoderRun): EncodedRung[] {
  return plan.rungs.filter(({ name }) => part.rungs.includes(name))
}

/** Rotation comes before all this: ffmpeg turns pictures upright by itself. */
export function filterGraph(run: EncoderRun): string {
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
function timing({ plan, part: { range } }: EncoderRun): string[] {
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
export function audioChain({ streamIndex, sampleRateHz }: AudioPlan): string {
  const filters = [
    `aresample=${sampleRateHz}:async=1:first_pts=0:rematrix_maxval=1`,
    'aformat=sample_fmts=fltp:channel_layouts=stereo',
  ]
  return `[0:${streamIndex}]${filters.join(',')}[a${streamIndex}]`
}

/** Seconds, to the microsecond. */
export function told(seconds: number): string {
  return String(Math.round(seconds * 1e6) / 1e6)
}
