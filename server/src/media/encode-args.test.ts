import { expect, test } from 'vitest'
import { encodeArgs, filterGraph } from './ffmpeg-args.ts'
import { ladder } from './ladder.ts'
import type { MediaInfo } from './media-info.ts'
import { packageArgs } from './package.ts'
import { plan, type EncodePlan } from './plan.ts'
import { aSource } from './sources.fixture.ts'
import { HARDENED_INPUT } from './whitelist.ts'

function planned(info: MediaInfo, rungs?: number[]): EncodePlan {
  return plan(info, ladder(info, rungs), { threads: 2, canToneMap: true })
}

const FORCED_EVERY_4_S = 'expr:isnan(prev_forced_t)+gte(t-prev_forced_t,3.999)'

const LASTING = 'setts=pts=PTS:dts=DTS:duration=if(gt(DURATION\\,0)\\,DURATION\\,1920)'

test('the whole command line of a small film with sound', () => {
  const info = aSource({ codedWidth: 640, codedHeight: 360, displayWidth: 640, displayHeight: 360 })
  expect(encodeArgs(planned(info), '/originals/7')).toEqual([
    ...['-hide_banner', '-v', 'error', '-nostdin', '-y'],
    ...['-nostats', '-progress', 'pipe:1', '-stats_period', '0.25'],
    ...['-filter_complex_threads', '1', ...HARDENED_INPUT],
    ...['-threads', '2', '-t', '43200', '-i', 'file:/originals/7'],
    '-filter_complex',
    [
      '[0:0]select=isnan(prev_selected_t)+gte(t-prev_selected_t\\,0.015),setpts=if(eq(N\\,0)\\,0\\,PTS),scale=640:360:flags=bicubic,format=yuv420p,colormatrix=bt601:bt709,setsar=1,setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709,split=3[v0][s0][p]',
      '[s0]scale=214:120:flags=bicubic,setsar=1[v1]',
      '[p]select=isnan(prev_selected_t)+gte(t\\,6)*gte(t-prev_selected_t\\,4),scale=in_color_matrix=bt709:out_color_matrix=bt601:in_range=tv:out_range=pc,format=yuvj420p[poster]',
      '[0:1]aresample=48000:async=1:first_pts=0:rematrix_maxval=1,aformat=sample_fmts=fltp:channel_layouts=stereo[a]',
    ].join(';'),
    ...['-map', '[v0]', '-map_metadata', '-1', '-map_chapters', '-1', '-fflags', '+bitexact'],
    ...['-fps_mode', 'vfr', '-enc_time_base', '1:48000', '-video_track_timescale', '48000'],
    ...['-c:v', 'libx264', '-preset', 'medium', '-profile:v', 'high', '-pix_fmt', 'yuv420p'],
    ...['-x264-params', 'aq-mode=2', '-crf', '26', '-maxrate', '1200000'],
    ...['-bufsize', '2400000', '-threads', '2', '-force_key_frames', FORCED_EVERY_4_S],
    ...['-forced-idr', '1', '-sc_threshold', '0', '-g', '600', '-color_range', 'tv'],
    ...['-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709'],
    ...['-bsf:v', LASTING, '-f', 'mp4', '360p.video.mp4'],
    ...['-map', '[v1]', '-map_metadata', '-1', '-map_chapters', '-1', '-fflags', '+bitexact'],
    ...['-fps_mode', 'vfr', '-enc_time_base', '1:48000', '-video_track_timescale', '48000'],
    ...['-c:v', 'libx264', '-preset', 'medium', '-profile:v', 'high', '-pix_fmt', 'yuv420p'],
    ...['-x264-params', 'aq-mode=2', '-crf', '24', '-maxrate', '300000'],
    ...['-bufsize', '600000', '-threads', '2', '-force_key_frames', FORCED_EVERY_4_S],
    ...['-forced-idr', '1', '-sc_threshold', '0', '-g', '600', '-color_range', 'tv'],
    ...['-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709'],
    ...['-bsf:v', LASTING, '-f', 'mp4', '120p.video.mp4'],
    ...['-map', '[a]', '-map_metadata', '-1', '-map_chapters', '-1', '-fflags', '+bitexact'],
    ...['-c:a', 'aac', '-b:a', '128000', '-f', 'mp4', 'audio.mp4'],
    ...['-map', '[poster]', '-map_metadata', '-1', '-map_chapters', '-1'],
    ...['-fflags', '+bitexact', '-fps_mode', 'vfr', '-c:v', 'mjpeg', '-q:v', '3'],
    ...['-frames:v', '12', '-f', 'image2', 'poster-%02d.jpg'],
  ])
})

test('four rungs are one cascade, and the poster comes from 720p', () => {
  const graph = filterGraph(planned(aSource())).split(';')
  expect(graph.map((chain) => /^\[[^\]]+\]/.exec(chain)?.[0])).toEqual([
    ...['[0:0]', '[s0]', '[s1]', '[s2]', '[p]', '[0:1]'],
  ])
  expect(graph[0]).toMatch(/split=2\[v0\]\[s0\]$/)
  expect(graph[1]).toBe('[s0]scale=1280:720:flags=bicubic,setsar=1,split=3[v1][s1][p]')
  expect(graph[3]).toBe('[s2]scale=214:120:flags=bicubic,setsar=1[v3]')
})

test('one rung without sound needs no split but for the poster', () => {
  const info = aSource({ displayWidth: 100, displayHeight: 76 }, null)
  const args = encodeArgs(planned(info), '/a')
  expect(args.join(' ')).toContain('split=2[v0][p];[p]')
  expect(args).not.toContain('aac')
})

function topChain(video: Parameters<typeof aSource>[0], canToneMap = true): string {
  const info = aSource(video)
  return filterGraph(plan(info, ladder(info), { threads: 2, canToneMap })).split(';')[0] ?? ''
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
  expect(topChain({ isInterlaced: true })).toMatch(/bwdif=mode=send_frame:deint=interlaced,scale=/)
  expect(topChain({})).not.toContain('bwdif')
})

test('colours are converted only where they have to be', () => {
  expect(topChain({})).not.toMatch(/colormatrix|range=pc/)
  expect(topChain({ colorSpace: 'smpte170m' })).toContain('colormatrix=bt601:bt709')
  expect(topChain({ isFullRange: true })).toContain(':in_range=pc:out_range=tv')
})

test('nothing is read without the whitelists, and no rate is ever forced', () => {
  const args = encodeArgs(planned(aSource()), '/a')
  for (const option of ['-protocol_whitelist', '-format_whitelist', '-codec_whitelist']) {
    expect(args.indexOf(option)).toBeLessThan(args.indexOf('-i'))
    expect(args).toContain(option)
  }
  expect(args).not.toContain('-r')
  expect(args.join(' ')).not.toMatch(/fps=|-vsync/)
})

test('the usual frame rates are exact in the clock of the file', () => {
  const timescale = (frameRate: number): number => planned(aSource({ frameRate })).timescale
  expect(timescale(24_000 / 1001)).toBe(24_000)
  expect(timescale(30_000 / 1001)).toBe(30_000)
  expect(timescale(60_000 / 1001)).toBe(60_000)
  for (const rate of [24, 25, 30, 50, 60, 1000]) expect(timescale(rate) % rate).toBe(0)
})

test('a larger picture never has a lower rate or a finer quality', () => {
  const sides = [16, 100, 120, 122, 240, 360, 362, 480, 718, 720, 722, 1000, 1080, 2160]
  const rungs = sides.map((side) => {
    const info = aSource({ displayWidth: 2 * side, displayHeight: side })
    const [rung] = planned(info, [side]).rungs
    return { crf: rung?.crf ?? 0, maxrateBps: rung?.maxrateBps ?? 0 }
  })
  expect(rungs).toEqual(rungs.toSorted((a, b) => a.crf - b.crf || a.maxrateBps - b.maxrateBps))
  expect(rungs.at(-1)).toEqual({ crf: 28.9, maxrateBps: 6_500_000 })
})

test('packaging copies, with the index first', () => {
  const files = { videoFile: '360p.video.mp4', audioFile: 'audio.mp4', outputFile: '360p.mp4' }
  expect(packageArgs(files)).toEqual([
    ...['-hide_banner', '-v', 'error', '-nostdin', '-y', '-copyts'],
    ...['-protocol_whitelist', 'file', '-i', 'file:360p.video.mp4'],
    ...['-protocol_whitelist', 'file', '-i', 'file:audio.mp4'],
    ...['-map', '0:0', '-map', '1:0', '-c', 'copy', '-map_metadata', '-1', '-map_chapters', '-1'],
    ...['-fflags', '+bitexact', '-movflags', '+faststart', '-f', 'mp4', '360p.mp4'],
  ])
})
