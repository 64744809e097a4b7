const EVERY_MS = 200

/**
 * Tells how far a command is, on the stream that is not its result: on a terminal one line that changes, elsewhere a
 * line a minute.
 */
export interface ProgressLine {
  show(text: string): void
  /** Clears the line. */
  end(): void
}

export function progressLine(): ProgressLine {
  const { stderr } = process
  const everyMs = stderr.isTTY ? EVERY_MS : 60_000
  let shownAt = stderr.isTTY ? 0 : Date.now()
  return {
    show(text) {
      if (Date.now() - shownAt < everyMs) return
      shownAt = Date.now()
      stderr.write(stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`)
    },
    end() {
      if (stderr.isTTY) stderr.write('\r\x1b[K')
    },
  }
}

/** `3.4 GB` */
export function inBytes(count: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB']
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, count)) / 3))
  return power === 0 ? `${count} bytes` : `${(count / 1000 ** power).toFixed(1)} ${units[power]}`
}

/** `1 video`, `2 videos` */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
