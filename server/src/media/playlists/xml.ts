/** An element with its children, which are XML already; attributes that are null are left out. */
export function element(
  name: string,
  attributes: Record<string, string | number | null>,
  children: string[] = [],
): string {
  const start = Object.entries(attributes)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => ` ${key}="${escaped(String(value))}"`)
    .join('')
  if (children.length === 0) return `<${name}${start}/>`
  return `<${name}${start}>\n${children.join('\n')}\n</${name}>`
}

/** An element with text in it. */
export function textElement(name: string, text: string): string {
  return `<${name}>${escaped(text)}</${name}>`
}

/** XML 1.0 §2.2: characters that a document cannot hold in any spelling. */
// eslint-disable-next-line no-control-regex -- that is what it is about
const IMPOSSIBLE = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}

function escaped(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(IMPOSSIBLE, '')
    .replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}
