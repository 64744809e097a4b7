import { expect } from 'vitest'
import type { Client } from '../harness/client.ts'

export interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

/** What `/metrics` says now. */
export async function scrape(client: Client): Promise<Sample[]> {
  const reply = await client.get('/metrics')
  expect(reply.status).toBe(200)
  expect(reply.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  return samplesOf(await reply.text())
}

/** The text format of Prometheus, version 0.0.4. */
export function samplesOf(text: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    if (line === '' || line.startsWith('#')) return []
    const [, name = '', labels = '', value = ''] =
      /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (name === '') throw new Error(`this is no sample: ${line}`)
    return [{ name, labels: labelsOf(labels), value: Number(value) }]
  })
}

function labelsOf(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)]
  return Object.fromEntries(pairs.map(([, name, value]) => [name, value]))
}

/** The one sample that has these labels, or undefined. */
export function valueOf(
  samples: Sample[],
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const found = samples.filter(
    (sample) =>
      sample.name === name &&
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  )
  expect(found.length, `${name} ${JSON.stringify(labels)} is ambiguous`).toBeLessThan(2)
  return found[0]?.value
}
