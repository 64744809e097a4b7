import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { transcode } from '../../server/src/media/transcode.ts'

/**
 * One film through our pipeline: `node ours.ts SOURCE WORKDIR encode|copy`. A process, so that it can be timed.
 * Leaves
 * `renditions.json` in the folder, and in `start.json` the CPU seconds that Node took to start, which a worker has behind it.
 */
const { user, system } = process.cpuUsage()
writeFileSync(join(process.argv[3] ?? '', 'start.json'), JSON.stringify((user + system) / 1e6))
const [, , sourcePath = '', workDir = '', how] = process.argv
const { renditions } = await transcode({
  tools: { ffmpegBin: 'ffmpeg', ffprobeBin: 'ffprobe' },
  sourcePath,
  workDir,
  signal: new AbortController().signal,
  options: { mayCopy: how === 'copy' },
})
const told = renditions.map(({ rung, path, sizeBytes }) => ({ rung, path, sizeBytes }))
writeFileSync(join(workDir, 'renditions.json'), JSON.stringify(told))
