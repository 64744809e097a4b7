import type { AudioPlan, ColorPlan, EncodedRung, EncodePlan, PosterPlan } from './plan.ts'
import { HARDENED_INPUT } from './whitelist.ts'

/**
 * The whole command line of the one ffmpeg that encodes a film: decoded once, all rungs, sound and
 * poster candidates written into the working directory under the plan's file names. Works with
 * ffmpeg 5.1 to 8. `sourcePath` must be absolute; it is the only text that is not ours.
 */
export function encodeArgs(plan: EncodePlan, sourcePath: string): string[] {
  return [
    ...['-hide_banner', '-v', 'error', '-nostdin', '-y'],
    ...['-nostats', '-progress', 'pipe:1', '-stats_period', '0.25'],
    ...['-filter_complex_threads', '1'],
    ...HARDENED_INPUT,
    ...['-threads', String(plan.decoderThreads), '-t', String(plan.maxSeconds)],
    ...['-i', `file:${sourcePath}`],
    ...['-filter_complex', filterGraph(plan)],
    ...plan.rungs.flatMap((rung, index) => rungOutput(rung, index, plan)),
    ...(plan.audio === null ? [] : audioOutput(plan.audio)),
    ...posterOutput(plan.poster),
  ]
}

/** Rotation comes before all this: ffmpeg turns pictures upright by itself. */
export function filterGraph(plan: EncodePlan): string {
  const chains = plan.rungs.map((rung, index) => {
    const smaller = index + 1 < plan.rungs.length
    const taps = [
      `[v${index}]`,
      ...(smaller ? [`[s${index}]`] : []),
      ...(isPosterSource(plan, index) ? ['[p]'] : []),
    ]
    const filters =
      index === 0
        ? [...normalised(plan, rung), ...split(taps)].join(',')
        : [scale(rung), 'setsar=1', ...split(taps)].join(',')
    const source = index === 0 ? `[0:${plan.videoStreamIndex}]` : `[s${index - 1}]`
    return `${source}${filters}${taps.join('')}`
  })
  return [
    ...chains,
    `[p]${posterFilters(plan.poster)}[poster]`,
    ...(plan.audio === null ? [] : [`[0:${plan.audio.streamIndex}]${audioFilters(plan.audio)}[a]`]),
  ].join(';')
}

function isPosterSource({ rungs, poster }: EncodePlan, index: number): boolean {
  return rungs.findIndex(({ width }) => width === poster.width) === index
}

function split(taps: string[]): string[] {
  return taps.length > 1 ? [`split=${taps.length}`] : []
}

/**
 * Frame dropping is by time since the last kept frame, never `fps=` or `-r`: those fill a gap of
 * 24 hours with frames. 15 ms let 60 fps through whose timestamps are rounded to milliseconds.
 * The first frame is shown from 0 on, so that picture and sound of every file begin together.
 */
function normalised(plan: EncodePlan, top: EncodedRung): string[] {
  return [
    'select=isnan(prev_selected_t)+gte(t-prev_selected_t\\,0.015)',
    'setpts=if(eq(N\\,0)\\,0\\,PTS)',
    ...(plan.deinterlace ? ['bwdif=mode=send_frame:deint=interlaced'] : []),
    ...colored(plan.color, top),
    'setsar=1',
    'setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709',
  ]
}

/** Scales to the largest rung first: tone-mapping costs much more for each pixel. */
function colored(color: ColorPlan, top: EncodedRung): string[] {
  switch (color.kind) {
    case 'sdr':
      return [
        `${scale(top)}${color.fromFullRange ? ':in_range=pc:out_range=tv' : ''}`,
        'format=yuv420p',
        ...(color.fromBt601 ? ['colormatrix=bt601:bt709'] : []),
      ]
    case 'wide_gamut':
      return [
        scale(top),
        `zscale=${zscaleInput(color)}:p=bt709:t=bt709:m=bt709:r=tv`,
        'format=yuv420p',
      ]
    case 'hdr':
      return [
        scale(top),
        `zscale=${zscaleInput(color)}:t=linear:npl=100`,
        'format=gbrpf32le',
        'zscale=p=bt709',
        'tonemap=tonemap=hable:desat=0',
        'zscale=t=bt709:m=bt709:r=tv',
        'format=yuv420p',
      ]
  }
}

/** A filter of the same size and format costs nothing: ffmpeg hands the frames through. */
function scale({ width, height }: { width: number; height: number }): string {
  return `scale=${width}:${height}:flags=bicubic`
}

/** Told, as zscale refuses untagged frames. */
function zscaleInput(color: { transfer: string; fromFullRange: boolean }): string {
  const known = ['smpte2084', 'arib-std-b67', 'bt2020-10', 'bt2020-12'].includes(color.transfer)
  const range = color.fromFullRange ? 'pc' : 'tv'
  return `rin=${range}:pin=bt2020:min=bt2020nc:tin=${known ? color.transfer : 'bt709'}`
}

/**
 * Keyframes at least 4 s after the last one, by time: in every rung on the same frames, as all see
 * the same timestamps. Not `n_forced*4`, which after a gap makes every frame a keyframe until it
 * has caught up. A millisecond less than 4 s absorbs rounding.
 */
function rungOutput(rung: EncodedRung, index: number, plan: EncodePlan): string[] {
  const { timescale, frameTicks } = plan
  return [
    ...['-map', `[v${index}]`, ...ANONYMOUS, '-fps_mode', 'vfr'],
    ...['-enc_time_base', `1:${timescale}`, '-video_track_timescale', String(timescale)],
    ...['-c:v', 'libx264', '-preset', rung.preset, '-profile:v', 'high', '-pix_fmt', 'yuv420p'],
    ...[
      '-x264-params',
      rung.x264Params,
      '-crf',
      String(rung.crf),
      '-maxrate',
      String(rung.maxrateBps),
    ],
    ...['-bufsize', String(rung.bufsizeBits), '-threads', String(rung.threads)],
    ...['-force_key_frames', 'expr:isnan(prev_forced_t)+gte(t-prev_forced_t,3.999)'],
    ...['-forced-idr', '1', '-sc_threshold', '0', '-g', '600'],
    ...['-color_range', 'tv', '-colorspace', 'bt709', '-color_primaries', 'bt709'],
    ...['-color_trc', 'bt709', '-bsf:v', lasting(frameTicks), '-f', 'mp4', rung.file],
  ]
}

/** ffmpeg 7 gives the last frame no duration: a film of one frame would last no time at all. */
function lasting(frameTicks: number): string {
  return `setts=pts=PTS:dts=DTS:duration=if(gt(DURATION\\,0)\\,DURATION\\,${frameTicks})`
}

/**
 * Gaps become silence, so that sound stays with its picture wherever a player seeks to. The layout
 * asked for by `aformat` is made by `aresample`, whose own option changed its name in ffmpeg 7.
 */
function audioFilters({ sampleRateHz }: AudioPlan): string {
  return [
    `aresample=${sampleRateHz}:async=1:first_pts=0:rematrix_maxval=1`,
    'aformat=sample_fmts=fltp:channel_layouts=stereo',
  ].join(',')
}

function audioOutput(audio: AudioPlan): string[] {
  return [
    ...['-map', '[a]', ...ANONYMOUS, '-c:a', 'aac', '-b:a', String(audio.bitrateBps)],
    ...['-f', 'mp4', audio.file],
  ]
}

/** A JPEG is BT.601 in full range, whatever it is tagged. */
function posterFilters({ fromSeconds, everySeconds }: PosterPlan): string {
  const later = `gte(t\\,${fromSeconds})*gte(t-prev_selected_t\\,${everySeconds})`
  return [
    `select=isnan(prev_selected_t)+${later}`,
    'scale=in_color_matrix=bt709:out_color_matrix=bt601:in_range=tv:out_range=pc',
    'format=yuvj420p',
  ].join(',')
}

function posterOutput(poster: PosterPlan): string[] {
  return [
    ...['-map', '[poster]', ...ANONYMOUS, '-fps_mode', 'vfr', '-c:v', 'mjpeg', '-q:v', '3'],
    ...['-frames:v', String(poster.candidates), '-f', 'image2', poster.filePattern],
  ]
}

/** Titles, places, chapters and the name of the encoder stay behind. */
const ANONYMOUS = ['-map_metadata', '-1', '-map_chapters', '-1', '-fflags', '+bitexact']
