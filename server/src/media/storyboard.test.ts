import { describe, expect, test } from 'vitest'
import { storyboardInterval, storyboardVtt, tileSize, type Storyboard } from './storyboard.ts'

const MINUTE = 60_000

test.each([
  [0, 5],
  [1, 2],
  [MINUTE, 2],
  [10 * MINUTE, 2],
  [10 * MINUTE + 1, 3],
  [25 * MINUTE, 5],
  [50 * MINUTE, 10],
  [12 * 60 * MINUTE, 10],
])('a film of %i ms has a picture every %i s', (durationMs, seconds) => {
  expect(storyboardInterval(durationMs)).toBe(seconds * 1000)
})

test.each([
  ['1920x1080', '160x90'],
  ['1920x800', '160x66'],
  ['640x480', '160x120'],
  ['1000x1000', '160x160'],
  ['1080x1920', '50x90'],
  ['8192x410', '160x8'],
  ['100x2000', '4x90'],
  ['16x2000', '2x90'],
])('pictures of a film of %s are %s', (film, tile) => {
  const [width = 0, height = 0] = film.split('x').map(Number)
  const size = tileSize(width, height)
  expect(`${size.width}x${size.height}`).toBe(tile)
})

describe('the WebVTT of a storyboard', () => {
  const aStoryboard = (changes: Partial<Storyboard> = {}): Storyboard => ({
    intervalMs: 2000,
    tileWidth: 160,
    tileHeight: 90,
    columns: 10,
    rows: 10,
    tiles: 3,
    sheets: ['a/1.jpg', 'a/2.jpg'],
    ...changes,
  })
  const urlOf = (key: string): string => `https://media.example/${key}?signature=x`
  const cues = (text: string): string[] => text.trim().split('\n\n').slice(1)

  test('names a part of a sheet for each time, and ends with the film', () => {
    expect(storyboardVtt(aStoryboard(), 5500, urlOf)).toBe(
      [
        'WEBVTT\n',
        '00:00:00.000 --> 00:00:02.000',
        'https://media.example/a/1.jpg?signature=x#xywh=0,0,160,90\n',
        '00:00:02.000 --> 00:00:04.000',
        'https://media.example/a/1.jpg?signature=x#xywh=160,0,160,90\n',
        '00:00:04.000 --> 00:00:05.500',
        'https://media.example/a/1.jpg?signature=x#xywh=320,0,160,90\n',
      ].join('\n'),
    )
  })

  test('goes on to the next row and the next sheet', () => {
    const all = cues(storyboardVtt(aStoryboard({ tiles: 112 }), 224_000, urlOf))
    expect(all).toHaveLength(112)
    expect(all[10]).toContain('/1.jpg?signature=x#xywh=0,90,')
    expect(all[99]).toContain('/1.jpg?signature=x#xywh=1440,810,')
    expect(all[100]).toContain('/2.jpg?signature=x#xywh=0,0,')
    expect(all[111]).toContain('/2.jpg?signature=x#xywh=160,90,')
  })

  test('the last picture stays where the film is longer than the pictures', () => {
    expect(cues(storyboardVtt(aStoryboard(), 4_000_000, urlOf)).at(-1)).toMatch(
      /^00:00:04.000 --> 01:06:40.000\n/,
    )
  })

  test('no cue begins when the film is over', () => {
    expect(cues(storyboardVtt(aStoryboard(), 4000, urlOf))).toHaveLength(2)
    expect(cues(storyboardVtt(aStoryboard(), 1, urlOf))).toEqual([
      '00:00:00.000 --> 00:00:00.001\nhttps://media.example/a/1.jpg?signature=x#xywh=0,0,160,90',
    ])
  })

  test('a film of unknown length shows every picture for an interval', () => {
    expect(cues(storyboardVtt(aStoryboard(), 0, urlOf)).at(-1)).toMatch(/--> 00:00:06.000\n/)
  })
})
