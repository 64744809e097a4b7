import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const exec = promisify(execFile)

/** When the pictures of a file or URL are shown, in milliseconds, in order. */
export async function frameTimesMs(input: string): Promise<number[]> {
  const entries = ['-select_streams', 'v:0', '-show_entries', 'packet=pts_time', '-of', 'csv=p=0']
  const { stdout } = await exec('ffprobe', ['-v', 'error', ...entries, input])
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Math.round(Number.parseFloat(line) * 1000))
    .toSorted((one, other) => one - other)
}
