import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { film } from '../films.ts'
import { MediaFailure } from '../../server/src/media/failure.ts'
import { transcode } from '../../server/src/media/transcode.ts'
import { refuseTruncated } from '../../server/src/media/truncation.ts'
import { verify, verifyPoster, type Expected } from '../../server/src/media/verify.ts'

const root = await mkdtemp(join(tmpdir(), 'videoflix-verify-'))
afterAll(() => rm(root, { recursive: true }))
const tools = { ffmpegBin: 'ffmpeg', ffprobeBin: 'ffprobe' }
const { signal } = new AbortController()

async function aProcessedFilm(): Promise<Expected> {
  const workDir = await mkdtemp(join(root, 'work-'))
  const sourcePath = await film('h264 mp4')
  const { renditions } = await transcode({ tools, sourcePath, workDir, signal, threads: 2 })
  return {
    ...{ tools, workDir, signal, hasAudio: true, encodedMs: 2000 },
    rungs: renditions.map(({ rung, width, height }) => {
      return { name: rung, file: `${rung}.mp4`, width, height }
    }),
  }
}

test('far too little is truncated, with both numbers', () => {
  expect(() => refuseTruncated(60_000, 12_000)).toThrow(
    'The file ends too early: 12 s of 60 s could be read. Upload it again.',
  )
  expect(() => refuseTruncated(2_000, 800)).toThrow('0.8 s of 2.0 s')
  expect(() => refuseTruncated(2_000, 1_500)).not.toThrow()
  expect(() => refuseTruncated(3_600_000, 3_590_000)).not.toThrow()
  expect(() => refuseTruncated(0, 5_000)).not.toThrow()
})

test('good files pass, and each lie is found', async () => {
  const good = await aProcessedFilm()
  await expect(verify(good)).resolves.toHaveLength(2)
  const lies: [Partial<Expected>, RegExp][] = [
    [{ hasAudio: false }, /sound from nowhere/],
    [{ encodedMs: 3000 }, /another duration/],
    [{ rungs: good.rungs.map((rung) => ({ ...rung, width: 2 })) }, /another size/],
  ]
  for (const [lie, told] of lies) await expect(verify({ ...good, ...lie })).rejects.toThrow(told)
})

test('damaged files are found', async () => {
  const good = await aProcessedFilm()
  const [rung] = good.rungs
  await writeFile(join(good.workDir, rung?.file ?? ''), 'nothing')
  const failure: unknown = await verify(good).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(MediaFailure)
  expect(failure).toMatchObject({ reason: 'verification_failed', permanent: true })
})

test('a poster that is cut short is found', async () => {
  await writeFile(join(root, 'poster.jpg'), Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 0]))
  await expect(verifyPoster(root)).rejects.toThrow('poster')
})
