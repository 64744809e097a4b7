import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { inspectTools } from './tools.ts'

const dir = await mkdtemp(join(tmpdir(), 'videoflix-tools-'))
afterAll(() => rm(dir, { recursive: true }))

async function aTool(name: string, version: string): Promise<string> {
  const bin = join(dir, name)
  await writeFile(bin, `#!/bin/sh\necho "ffmpeg version ${version} Copyright"\n`)
  await chmod(bin, 0o755)
  return bin
}

test('those of this machine are good', async () => {
  const report = await inspectTools({ ffmpegBin: 'ffmpeg', ffprobeBin: 'ffprobe' })
  expect(report.problems).toEqual([])
  expect(report.version).toMatch(/\d/)
})

test('missing tools are told, with what to do', async () => {
  const report = await inspectTools({
    ffmpegBin: '/nowhere/ffmpeg',
    ffprobeBin: '/nowhere/ffprobe',
  })
  expect(report.version).toBeNull()
  expect(report.problems.map(({ what }) => what)).toEqual([
    'ffprobe cannot be started (/nowhere/ffprobe).',
    'ffmpeg cannot be started (/nowhere/ffmpeg).',
  ])
  expect(report.problems.every(({ remedy }) => remedy.startsWith('Install'))).toBe(true)
})

test('an old or reduced ffmpeg is told', async () => {
  const old = await aTool('old', '4.4.2-0ubuntu0.22.04.1')
  const report = await inspectTools({ ffmpegBin: old, ffprobeBin: old })
  const told = report.problems.map(({ what }) => what)
  expect(told).toContain('ffmpeg is version 4.4.2-0ubuntu0.22.04.1.')
  expect(told).toContain('ffmpeg has no encoder libx264.')
  expect(report.canToneMap).toBe(false)
})

test('newer ones and builds from git are not too old', async () => {
  for (const version of ['5.1.9-0+deb12u1', 'n7.1', '8.0', 'N-118000-g1234567']) {
    const bin = await aTool('new', version)
    const { problems } = await inspectTools({ ffmpegBin: bin, ffprobeBin: bin })
    expect(problems.filter(({ what }) => what.includes('version'))).toEqual([])
  }
})
