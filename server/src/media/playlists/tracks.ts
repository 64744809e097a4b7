/** RFC 8216 §4.3.4.1.1: no two members of a group have one NAME. */
export function distinctLabels(labels: string[]): string[] {
  const taken = new Set<string>()
  return labels.map((label) => {
    const plain = label.trim() || 'Track'
    let name = plain
    for (let count = 2; taken.has(name); count += 1) name = `${plain} (${count})`
    taken.add(name)
    return name
  })
}

/** RFC 8216 §4.3.4.1.1: what a player may choose by itself is one of a kind. The first of each kind is. */
export function byChoice(kinds: (string | null)[]): boolean[] {
  return kinds.map((kind, index) => kinds.indexOf(kind) === index)
}
