import { execFile } from 'node:child_process'
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { thumbHashToApproximateAspectRatio, thumbHashToAverageRGBA } from 'thumbhash'
import { afterAll, describe, expect, test } from 'vitest'
import { MediaFailure } from '../../server/src/media/failure.ts'
import { keepBestPoster } from '../../server/src/media/poster.ts'
import { makeSheets } from '../../server/src/media/storyboard.ts'
import { thumbHash } from '../../server/src/media/thumb-hash.ts'

const exec = promisify(execFile)
const tools = { ffmpegBin: 'ffmpeg', ffprobeBin: 'ffprobe' }
const { signal } = new AbortController()
const root = await mkdtemp(join(tmpdir(), 'videoflix-stills-'))
afterAll(() => rm(root, { recursive: true }))

const aWorkDir = (): Promise<string> => mkdtemp(join(root, 'work-'))

async function ffmpeg(source: string, output: string, ...options: string[]): Promise<void> {
  const input = ['-nostdin', '-v', 'error', '-y', '-f', 'lavfi', '-i', source]
  const jpeg = ['-vf', 'format=yuvj420p', '-c:v', 'mjpeg', '-q:v', '3']
  await exec('ffmpeg', [...input, ...jpeg, ...options, output])
}

describe('the poster', () => {
  const SIZE = 's=640x360'
  const box = (x: number, y: number, w: number, h: number): string =>
    `drawbox=x=${x}:y=${y}:w=${w}:h=${h}:color=0x773311:t=fill`
  const poor = {
    black: `color=black:${SIZE}`,
    white: `color=white:${SIZE}`,
    'one colour': `color=0x336699:${SIZE}`,
    'a gradient': `gradients=${SIZE}:c0=black:c1=0x223344:nb_colors=2`,
    'a title on black': `color=black:${SIZE},${box(260, 160, 120, 40)}`,
  }
  const scenes = {
    'a test picture': `testsrc2=${SIZE}`,
    'a flat drawing': `color=0x88bbee:${SIZE},${box(133, 101, 93, 180)},${box(403, 61, 57, 211)},rotate=0.1`,
    'a fractal': `mandelbrot=${SIZE}`,
    'a fractal in the dark': `mandelbrot=${SIZE},eq=brightness=-0.35:contrast=0.5`,
  }
  const worse = {
    'blurred strongly': 'gblur=sigma=12',
    'out of focus': 'gblur=sigma=5',
    'fading in': 'eq=brightness=-0.4:contrast=0.25',
    'fading to white': 'eq=brightness=0.5:contrast=0.25',
  }

  /** Which of the candidates is kept. */
  async function best(candidates: Record<string, string>): Promise<string | undefined> {
    const workDir = await aWorkDir()
    const made = await Promise.all(
      Object.entries(candidates).map(async ([name, source], index) => {
        const path = join(workDir, `poster-${String(index + 1).padStart(2, '0')}.jpg`)
        await ffmpeg(source, path, '-frames:v', '1')
        return { name, bytes: await readFile(path) }
      }),
    )
    await keepBestPoster(workDir)
    expect(await readdir(workDir)).toEqual(['poster.jpg'])
    const kept = await readFile(join(workDir, 'poster.jpg'))
    return made.find(({ bytes }) => bytes.equals(kept))?.name
  }

  test.each(Object.entries(scenes))('%s wins against blank pictures', async (name, source) => {
    expect(await best({ ...poor, [name]: source })).toBe(name)
  })

  test.each(Object.entries(scenes))(
    '%s wins against itself blurred or fading',
    async (name, source) => {
      const others = Object.entries(worse).map(([how, filter]) => [how, `${source},${filter}`])
      expect(await best({ ...Object.fromEntries(others), [name]: source })).toBe(name)
    },
  )

  test('grain does not make black a picture', async () => {
    const grain = 'noise=alls=20:allf=t:all_seed=1'
    const grainy = (source: string): string => `${source},format=yuv420p,${grain}`
    const candidates = { ...poor, 'the scene': scenes['a test picture'] }
    const each = Object.entries(candidates).map(([name, source]) => [name, grainy(source)])
    expect(await best(Object.fromEntries(each))).toBe('the scene')
  })

  test('without a candidate there is none', async () => {
    const failure = await keepBestPoster(await aWorkDir()).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(MediaFailure)
    expect(failure).toMatchObject({ reason: 'undecodable' })
  })
})

describe('the sheets of a storyboard', () => {
  /** The file that an encoder leaves. Each picture is brighter than the one before. */
  async function frames(count: number, size = '160x90'): Promise<string> {
    const workDir = await aWorkDir()
    const source = `color=black:s=${size}:r=1:d=${count},geq=lum='32+192*N/${count}':cb=128:cr=128`
    await ffmpeg(source, join(workDir, 'storyboard.mjpeg'), '-f', 'mjpeg')
    return workDir
  }

  const sheets = (workDir: string) =>
    makeSheets({ tools, workDir, framesFile: 'storyboard.mjpeg', signal })

  /** How bright the middle of a part of a picture is. */
  async function brightness(path: string, x: number, y: number): Promise<number> {
    const filter = `crop=16:16:${x}:${y},scale=1:1:flags=area,format=gray`
    const args = ['-v', 'error', '-i', path, '-vf', filter, '-f', 'rawvideo', 'pipe:1']
    const { stdout } = await exec('ffmpeg', args, { encoding: 'buffer' })
    return stdout[0] ?? -1
  }

  async function sizeOf(path: string): Promise<string> {
    const args = ['-v', 'error', '-show_entries', 'stream=width,height', '-of', 'csv=p=0:s=x', path]
    return (await exec('ffprobe', args)).stdout.trim()
  }

  test.each([
    [1, 1, 1, ['160x90']],
    [7, 7, 1, ['1120x90']],
    [10, 10, 1, ['1600x90']],
    [11, 10, 2, ['1600x180']],
    [100, 10, 10, ['1600x900']],
    [101, 10, 10, ['1600x900', '1600x900']],
    [225, 10, 10, ['1600x900', '1600x900', '1600x900']],
  ])('%i pictures lie in %i columns and %i rows', async (count, columns, rows, sizes) => {
    const { paths, ...layout } = await sheets(await frames(count))
    expect(layout).toEqual({ tiles: count, tileWidth: 160, tileHeight: 90, columns, rows })
    expect(paths.map((path) => basename(path))).toEqual(
      sizes.map((_, index) => `storyboard-00${index + 1}.jpg`),
    )
    expect(await Promise.all(paths.map(sizeOf))).toEqual(sizes)
  })

  test('the pictures are in order', async () => {
    const { paths } = await sheets(await frames(120))
    const [first = '', second = ''] = paths
    const seen = [
      await brightness(first, 72, 37),
      await brightness(first, 5 * 160 + 72, 37),
      await brightness(first, 72, 4 * 90 + 37),
      await brightness(first, 9 * 160 + 72, 9 * 90 + 37),
      await brightness(second, 72, 37),
      await brightness(second, 9 * 160 + 72, 90 + 37),
    ]
    expect(seen).toEqual([...seen].sort((one, other) => one - other))
    expect(new Set(seen).size).toBe(6)
  })

  test('a file that was put together from several is read to its end', async () => {
    const workDir = await frames(30)
    const path = join(workDir, 'storyboard.mjpeg')
    const once = await readFile(path)
    await appendFile(path, once)
    await appendFile(path, once)
    expect(await sheets(workDir)).toMatchObject({ tiles: 90, columns: 10, rows: 9 })
  })

  test('a film in upright format has narrow pictures', async () => {
    expect(await sheets(await frames(12, '50x90'))).toMatchObject({ tileWidth: 50, tileHeight: 90 })
  })

  test('they may be made again', async () => {
    const workDir = await frames(3)
    const first = await sheets(workDir)
    expect(await sheets(workDir)).toEqual(first)
    expect((await readdir(workDir)).sort()).toEqual(['storyboard-001.jpg', 'storyboard.mjpeg'])
  })

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('not a picture')],
    ['half a picture', null],
  ])('%s is refused', async (_name, bytes) => {
    const workDir = await frames(1, '640x360')
    const path = join(workDir, 'storyboard.mjpeg')
    await writeFile(path, bytes ?? (await readFile(path)).subarray(0, 300))
    const failure = await sheets(workDir).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(MediaFailure)
    expect(failure).toMatchObject({ reason: 'verification_failed' })
  })
})

describe('the ThumbHash', () => {
  async function hashOf(source: string, width: number, height: number): Promise<Buffer> {
    const workDir = await aWorkDir()
    await ffmpeg(source, join(workDir, 'poster.jpg'), '-frames:v', '1')
    const text = await thumbHash({ tools, workDir, file: 'poster.jpg', width, height, signal })
    expect(await readdir(workDir)).toEqual(['poster.jpg'])
    expect(text).toMatch(/^[A-Za-z0-9+/]+=*$/)
    return Buffer.from(text, 'base64')
  }

  test('looks like the poster', async () => {
    const hash = await hashOf('color=0x3366cc:s=1280x720', 1280, 720)
    expect(hash.length).toBeLessThan(30)
    const { r, g, b, a } = thumbHashToAverageRGBA(hash)
    for (const [seen, meant] of [
      [r, 0.2],
      [g, 0.4],
      [b, 0.8],
      [a, 1],
    ] as const) {
      expect(seen).toBeCloseTo(meant, 1)
    }
    expect(thumbHashToApproximateAspectRatio(hash)).toBeCloseTo(16 / 9, 0)
  })

  test.each([
    ['tiny', 16, 16],
    ['upright', 360, 640],
    ['very flat', 1280, 64],
    ['very narrow', 16, 320],
    ['odd', 101, 77],
  ])('is there for a %s poster', async (_name, width, height) => {
    const hash = await hashOf(`testsrc2=s=${width}x${height}`, width, height)
    expect(thumbHashToApproximateAspectRatio(hash) < 1).toBe(width < height)
  })

  test('a poster that is no picture is refused', async () => {
    const workDir = await aWorkDir()
    await writeFile(join(workDir, 'poster.jpg'), 'not a picture')
    const job = { tools, workDir, file: 'poster.jpg', width: 64, height: 36, signal }
    await expect(thumbHash(job)).rejects.toBeInstanceOf(MediaFailure)
  })
})
