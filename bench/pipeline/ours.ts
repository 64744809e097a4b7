import { transcode } from '../../server/src/media/transcode.ts'

/** One film through our pipeline: `node ours.ts SOURCE WORKDIR`. A process, so that it can be timed. */
const [, , sourcePath = '', workDir = ''] = process.argv
await transcode({
  tools: { ffmpegBin: 'ffmpeg', ffprobeBin: 'ffprobe' },
  sourcePath,
  workDir,
  signal: new AbortController().signal,
})
