import { expect, test } from 'vitest'
import { copyArgs, encodeArgs } from './encode-args.ts'
import { filterGraph } from './filter-graph.ts'
import type { MediaInfo } from './media-info.ts'
import type { EncodePart } from './parts.ts'
import { planSource, type PlanOptions, type SourcePlan } from './plan.ts'
import { aSource } from './sources.fixture.ts'
import { HARDENED_INPUT, HARDENED_PROBE } from './whitelist.ts'

function planned(info: MediaInfo, options: Partial<PlanOptions> = {}): SourcePlan {
  const usual = { canToneMap: true, chunkMinDurationMs: 600_000, mayCopy: true }
  return planSource(info, { ...usual, ...options })
}

function run(plan: SourcePlan, index = 0) {
  const part = plan.parts[index] as EncodePart
  return { plan, part, threads: 2 }
}

const small = {
  ...{ codedWidth: 640, codedHeight: 360, displayWidth: 640, displayHeight: 360 },
}
const EVERY_4_S =
  'expr:isnan(prev_forced_t)+gt(floor((t-0+0.0005)/4),floor((prev_forced_t-0+0.0005)/4))'
const LASTING = 'setts=pts=PTS:dts=DTS:duration=if(gt(DURATION\\,0)\\,DURATION\\,1920)'
const SMALL = 'stitchable=1:aq-mode=2:partitions=none:me=dia:bframes=5:rc-lookahead=40:trellis=1'
const BT709 = 'setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709'
const TO_JPEG =
  'scale=in_color_matrix=bt709:out_color_matrix=bt601:in_range=tv:out_range=pc,format=yuvj420p'

function rungOutput(tap: string, preset: string[], file: string): string[] {
  return [
    ...['-map', tap, '-map_metadata', '-1', '-map_chapters', '-1', '-fflags', '+bitexact'],
    ...['-fps_mode', 'vfr', '-enc_time_base', '1:48000', '-video_track_timescale', '48000'],
    ...['-c:v', 'libx264', ...preset, '-force_key_frames', EVERY_4_S],
    ...['-forced-idr', '1', '-sc_threshold', '0', '-g', '900', '-color_range', 'tv'],
    ...['-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709'],
    ...['-bsf:v', LASTING, '-movie_timescale', '48000', '-f', 'mp4', file],
  ]
}

test('the whole command line of a small film with sound', () => {
  const to709 = 'format=yuv420p,colormatrix=bt601:bt709,setsar=1,'
  expect(encodeArgs(run(planned(aSource(small))), '/originals/7')).toEqual([
    ...['-hide_banner', '-v', 'error', '-nostdin', '-y'],
    ...['-nostats', '-progress', 'pipe:1', '-stats_period', '0.25'],
    ...['-filter_complex_threads', '1', ...HARDENED_INPUT],
    ...['-threads', '2', '-t', '43200', '-i', 'file:/originals/7'],
    '-filter_complex',
    [
      '[0:0]select=isnan(prev_selected_t)+gte(t-prev_selected_t\\,0.015),setpts=if(eq(N\\,0)\\,0\\,PTS),select=gte(t\\,-0.0005),split=3[s][p][b]',
      `[s]scale=640:360:flags=bicubic,${to709}${BT709},split=2[v0][s0]`,
      '[s0]scale=214:120:flags=bicubic,setsar=1[v1]',
      `[p]select=isnan(prev_selected_t)+gte(t\\,6)*gte(t-prev_selected_t\\,4),scale=640:360:flags=bicubic,${to709}${BT709},${TO_JPEG}[poster]`,
      `[b]select=isnan(prev_selected_t)+gt(floor((t+0.0005)/2)\\,floor((prev_selected_t+0.0005)/2)),scale=160:90:flags=bicubic,${to709}${BT709},${TO_JPEG},fps=1/2:round=down:start_time=0:eof_action=pass[storyboard]`,
      '[0:1]aresample=48000:async=1:first_pts=0:rematrix_maxval=1,aformat=sample_fmts=fltp:channel_layouts=stereo[a1]',
    ].join(';'),
    ...rungOutput(
      '[v0]',
      [
        ...['-preset', 'veryfast', '-profile:v', 'high', '-pix_fmt', 'yuv420p', '-x264-params'],
        ...[SMALL, '-crf', '27', '-maxrate', '1200000'],
        ...['-bufsize', '2400000', '-threads', '2'],
      ],
      '360p.video.mp4',
    ),
    ...rungOutput(
      '[v1]',
      [
        ...['-preset', 'veryfast', '-profile:v', 'high', '-pix_fmt', 'yuv420p', '-x264-params'],
        ...[SMALL, '-crf', '24', '-maxrate', '300000'],
        ...['-bufsize', '600000', '-threads', '2'],
      ],
      '120p.video.mp4',
    ),
    ...['-map', '[a1]', '-map_metadata', '-1', '-map_chapters', '-1', '-fflags', '+bitexact'],
    ...['-c:a', 'aac', '-b:a', '128000', '-f', 'mp4', 'audio-0.mp4'],
    ...['-map', '[poster]', '-map_metadata', '-1', '-map_chapters', '-1'],
    ...['-fflags', '+bitexact', '-fps_mode', 'vfr', '-c:v', 'mjpeg', '-q:v', '3'],
    ...['-frames:v', '12', '-f', 'image2', 'poster-%02d.jpg'],
    ...['-map', '[storyboard]', '-map_metadata', '-1', '-map_chapters', '-1'],
    ...['-fflags', '+bitexact', '-fps_mode', 'vfr', '-c:v', 'mjpeg', '-q:v', '3'],
    ...['-f', 'mjpeg', 'storyboard.mjpeg'],
  ])
})

test('four rungs are one cascade', () => {
  const graph = filterGraph(run(planned(aSource()))).split(';')
  expect(graph.map((chain) => /^\[[^\]]+\]/.exec(chain)?.[0])).toEqual([
    ...['[0:0]', '[s]', '[s0]', '[s1]', '[s2]', '[p]', '[b]', '[0:1]'],
  ])
  expect(graph[2]).toBe('[s0]scale=1280:720:flags=bicubic,setsar=1,split=2[v1][s1]')
  expect(graph[4]).toBe('[s2]scale=214:120:flags=bicubic,setsar=1[v3]')
})

const long = (): MediaInfo => ({
  ...aSource({ ticksPerSecond: 12_800, durationMs: 700_000 }),
  durationMs: 700_000,
})

test('a chunk is read from a second before it, and has exactly its own frames', () => {
  const plan = planned(long())
  const chunk = run(plan, 2)
  expect(chunk.part).toMatchObject({ name: 'encode 2/6', range: { from: 120, to: 240 } })
  const args = encodeArgs(chunk, '/a')
  expect(args.slice(args.indexOf('-ss'), args.indexOf('-i'))).toEqual(['-ss', '119', '-t', '122'])
  expect(filterGraph(chunk).split(';')[0]).toBe(
    '[0:0]select=isnan(prev_selected_t)+gte(t-prev_selected_t\\,0.015),setpts=PTS-1/TB,select=gte(t\\,-0.0005)*lt(t\\,119.9995)[s]',
  )
  expect(args).not.toContain('aac')
  expect(args.join(' ')).not.toContain('jpg')
})

test('the first chunk begins with the film, and the last one is open', () => {
  const plan = planned(long())
  expect(filterGraph(run(plan, 1)).split(';')[0]).toMatch(
    /setpts=if\(eq\(N\\,0\)\\,0\\,PTS\),select=gte\(t\\,-0\.0005\)\*lt\(t\\,119\.9995\)/,
  )
  const last = run(plan, plan.parts.length - 1)
  expect(last.part.range).toEqual({ from: 600, to: null })
  expect(filterGraph(last)).toContain('setpts=PTS-1/TB,select=gte(t\\,-0.0005)[s]')
})

test('a run over the whole film begins its four seconds anew where chunks do', () => {
  const args = encodeArgs(run(planned(long())), '/a')
  expect(args[args.indexOf('-force_key_frames') + 1]).toBe(
    'expr:if(isnan(prev_forced_t),1,if(gt(min(floor((t+0.0005)/120),5),min(floor((prev_forced_t+0.0005)/120),5)),st(0,t)*0+1,gt(floor((t-ld(0)+0.0005)/4),floor((prev_forced_t-ld(0)+0.0005)/4))))',
  )
})

test('a copied rung says where the keyframes of the others are', () => {
  const copied = {
    ...{ syncTimes: [0, 5, 6, 15.04], isStitchable: true, durationSeconds: 20 },
    ...{ averageBps: 3e6, peakBps4s: 4e6 },
  }
  const info = aSource({ level: 40 })
  const options = { canToneMap: true, chunkMinDurationMs: 600_000, mayCopy: true }
  const plan = planSource(info, options, copied)
  expect(plan.rungs.map(({ name }) => name)).toEqual(['720p', '360p', '120p'])
  const args = encodeArgs(run(plan), '/a')
  expect(args[args.indexOf('-force_key_frames') + 1]).toBe('0,4.998,15.038')
  expect(args).not.toContain('aac')
  expect(copyArgs(plan, '1080p.video.mp4', '/a')).toEqual([
    ...['-hide_banner', '-v', 'error', '-nostdin', '-y'],
    ...['-nostats', '-progress', 'pipe:1', '-stats_period', '0.25', ...HARDENED_PROBE],
    ...['-t', '43200', '-i', 'file:/a', '-filter_complex'],
    '[0:1]aresample=48000:async=1:first_pts=0:rematrix_maxval=1,aformat=sample_fmts=fltp:channel_layouts=stereo[a1]',
    ...['-map', '0:0', '-map_metadata', '-1', '-map_chapters', '-1', '-fflags', '+bitexact'],
    ...['-c:v', 'copy', '-bsf:v', 'filter_units=remove_types=6', '-f', 'mp4', '1080p.video.mp4'],
    ...['-map', '[a1]', '-map_metadata', '-1', '-map_chapters', '-1', '-fflags', '+bitexact'],
    ...['-c:a', 'aac', '-b:a', '128000', '-f', 'mp4', 'audio-0.mp4'],
  ])
})

function topChain(video: Parameters<typeof aSource>[0], canToneMap = true): string {
  const graph = filterGraph(run(planned(aSource(video), { canToneMap }))).split(';')
  return graph.slice(0, 2).join(';')
}

test('HDR is tone-mapped at the size of the largest rung', () => {
  const hdr = {
    ...{ displayWidth: 3840, displayHeight: 2160, pixelFormat: 'yuv420p10le', isHdr: true },
    ...{ colorTransfer: 'smpte2084', colorPrimaries: 'bt2020', colorSpace: 'bt2020nc' },
  }
  expect(topChain(hdr)).toContain(
    'scale=1920:1080:flags=bicubic,zscale=rin=tv:pin=bt2020:min=bt2020nc:tin=smpte2084:t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p,setsar=1',
  )
  expect(topChain(hdr, false)).not.toContain('zscale')
})

test('interlace is removed before anything is scaled', () => {
  expect(topChain({ isInterlaced: true })).toMatch(
    /PTS\),bwdif=mode=send_frame:deint=interlaced,.*scale=/,
  )
  expect(topChain({})).not.toContain('bwdif')
})

test('colours are converted only where they have to be', () => {
  expect(topChain({})).not.toMatch(/colormatrix|range=pc/)
  expect(topChain({ colorSpace: 'smpte170m' })).toContain('colormatrix=bt601:bt709')
  expect(topChain({ isFullRange: true })).toContain(':in_range=pc:out_range=tv')
})

test('nothing is read without the whitelists, and no rate is ever forced', () => {
  const args = encodeArgs(run(planned(aSource())), '/a')
  for (const option of ['-protocol_whitelist', '-format_whitelist', '-codec_whitelist']) {
    expect(args.indexOf(option)).toBeLessThan(args.indexOf('-i'))
    expect(args).toContain(option)
  }
  expect(args).not.toContain('-r')
  expect(args.join(' ').replace(/fps=1\/\d/, '')).not.toMatch(/fps=|-vsync/)
})

test('the usual frame rates are exact in the clock of the file', () => {
  const timescale = (frameRate: number): number => planned(aSource({ frameRate })).timescale
  expect(timescale(24_000 / 1001)).toBe(24_000)
  expect(timescale(30_000 / 1001)).toBe(30_000)
  expect(timescale(60_000 / 1001)).toBe(60_000)
  for (const rate of [24, 25, 30, 50, 60, 1000]) expect(timescale(rate) % rate).toBe(0)
})

test('a larger picture never has a lower rate', () => {
  const sides = [16, 100, 120, 122, 240, 360, 362, 480, 718, 720, 722, 1000, 1080, 2160]
  const rates = sides.map((side) => {
    const info = aSource({ displayWidth: 2 * side, displayHeight: side })
    return planned(info, { rungs: [side] }).rungs[0]?.maxrateBps ?? 0
  })
  expect(rates).toEqual(rates.toSorted((a, b) => a - b))
  expect(rates.at(-1)).toBe(18_000_000)
})
