import { encodePart } from '../../server/src/media/encode.ts'
import { planSource } from '../../server/src/media/plan.ts'
import { probe } from '../../server/src/media/probe.ts'

/** Our encoder with every CRF three higher: `node coarser.ts SOURCE WORKDIR`. Tells how bytes and quality go together. */
const [, , sourcePath = '', workDir = ''] = process.argv
const tools = { ffmpegBin: 'ffmpeg', ffprobeBin: 'ffprobe' }
const { signal } = new AbortController()
const info = await probe(tools, sourcePath, signal)
const plan = planSource(info, { canToneMap: false, chunkMinDurationMs: Infinity, mayCopy: false })
const rungs = plan.rungs.map((rung) => ({ ...rung, crf: rung.crf + 3 }))
for (const part of plan.parts) {
  const job = { tools, sourcePath, workDir, signal, threads: 2, stallMs: 120_000 }
  await encodePart(job, { ...plan, rungs }, part)
}
