// Preloaded (NODE_OPTIONS=--import): for this process it is three days later.
const LATER_MS = 3 * 86_400_000
const Now = Date

globalThis.Date = class extends Now {
  constructor(...given: [] | [number | string | Date]) {
    super(given.length === 0 ? Now.now() + LATER_MS : given[0])
  }

  static override now(): number {
    return Now.now() + LATER_MS
  }
} as DateConstructor
