const PERCENT = String.raw`(?:100|\d{1,2}(?:\.\d{1,3})?)%`

/** W3C WebVTT §4.4, less `region`: regions are left out with the blocks that define them. */
const SETTINGS: Record<string, RegExp> = {
  vertical: /^(?:rl|lr)$/,
  line: new RegExp(`^(?:-?\\d{1,3}|${PERCENT})(?:,(?:start|center|end))?$`),
  position: new RegExp(`^${PERCENT}(?:,(?:line-left|center|line-right))?$`),
  size: new RegExp(`^${PERCENT}$`),
  align: /^(?:start|center|end|left|right)$/,
}

/** Those settings of a cue that mean something, each once. */
export function cleanSettings(settings: string): Map<string, string> {
  const clean = new Map<string, string>()
  for (const setting of settings.split(/\s+/)) {
    const at = setting.indexOf(':')
    const name = setting.slice(0, Math.max(0, at))
    // As it was called in drafts.
    const value = setting === 'align:middle' ? 'center' : setting.slice(at + 1)
    const isKnown = Object.hasOwn(SETTINGS, name) && SETTINGS[name]?.test(value)
    if (isKnown && !clean.has(name)) clean.set(name, value)
  }
  return clean
}
