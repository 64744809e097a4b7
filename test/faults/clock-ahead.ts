// Preloaded (NODE_OPTIONS=--import): the clock of this process is CLOCK_AHEAD_MS ahead.
const AHEAD_MS = Number(process.env['CLOCK_AHEAD_MS'])
const Now = Date

globalThis.Date = class extends Now {
  constructor(...given: [] | [number | string | Date]) {
    super(given.length === 0 ? Now.now() + AHEAD_MS : given[0])
  }

  static override now(): number {
    return Now.now() + AHEAD_MS
  }
} as DateConstructor
