import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { transcode } from '../../server/src/media/transcode.ts'

/**
 * One film through our pipeline: `node ours.ts SOURCE WORKDIR encode|copy`. A process, so that it can be timed.
 * Leaves `renditions.json` in the folder.
 */
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
