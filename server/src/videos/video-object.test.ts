import { describe, expect, test } from 'vitest'
import type { RenditionRow, SourceRow } from '../db/tables.ts'
import type { MediaInfo } from '../media/media-info.ts'
import type { StepView } from '../processing/step-views.ts'
import type { MediaUrls } from '../storage/media-urls.ts'
import { chooseQuality, toAdminVideo, toVideo } from './video-object.ts'
import type { VideoRecord } from './video-rows.ts'

const NOW = new Date('2026-06-19T12:00:00.123Z')
const urls: MediaUrls = {
  urlOf: (key, durationMs) => `url:${key}:${durationMs}`,
  keyGrantedBy: () => null,
}

function aSource(given: Partial<SourceRow> = {}): SourceRow {
  return {
    id: 3,
    video_id: 7,
    upload_id: 'u',
    object_key: 'u',
    file_name: 'film.mp4',
    size_bytes: 1000,
    sha256: null,
    state: 'ready',
    error_code: null,
    error_message: null,
    media_info: {
      durationMs: 5000,
      video: { displayWidth: 640, displayHeight: 480 },
    } as MediaInfo,
    poster_key: 'p.jpg',
    plan: null,
    storyboard: null,
    thumb_hash: 'aGFzaA==',
    original_dropped_at: null,
    created_at: NOW,
    updated_at: NOW,
    ...given,
  }
}

function aRendition(quality: string): RenditionRow {
  return {
    id: 1,
    source_id: 3,
    quality,
    object_key: `${quality}.mp4`,
    width: 1,
    height: 1,
    size_bytes: 1,
    bitrate_bps: 1,
    peak_bps: 2,
    frame_rate: '24/1',
    codecs: 'avc1',
  }
}

function aStep(given: Partial<StepView>): StepView {
  return {
    ...{ id: 1, source_id: 3, name: 'encode', kind: 'encode', state: 'done', attempts: 1 },
    ...{ command: null, output: null, error_code: null, error_message: null },
    ...{ started_at: NOW, finished_at: null, progress: null },
    ...given,
  }
}

function aRecord(given: Partial<VideoRecord> = {}): VideoRecord {
  const published = aSource()
  return {
    video: {
      id: 7,
      title: 'A film',
      description: '',
      category: 'Other',
      created_at: NOW,
      updated_at: NOW,
      published_source_id: 3,
      source_id: 3,
    },
    published,
    newest: published,
    // As the database may give them.
    renditions: ['720p', '1080p', '120p', '360p'].map(aRendition),
    earlyRenditions: [],
    ...given,
  }
}

const unready = (newest: Partial<SourceRow>): VideoRecord =>
  aRecord({ published: null, renditions: [], newest: aSource({ poster_key: null, ...newest }) })

describe('what viewers get', () => {
  test('of a ready video: every rendition, worst first, and the best as the file', () => {
    expect(toVideo(aRecord(), urls, NOW)).toEqual({
      id: 7,
      title: 'A film',
      description: '',
      category: 'Other',
      created_at: '2026-06-19T12:00:00.123000Z',
      image_file: 'url:p.jpg:5000',
      image_url: 'url:p.jpg:5000',
      thumb_hash: 'aGFzaA==',
      video_file: 'url:1080p.mp4:5000',
      converted_files: {
        '120p': 'url:120p.mp4:5000',
        '360p': 'url:360p.mp4:5000',
        '720p': 'url:720p.mp4:5000',
        '1080p': 'url:1080p.mp4:5000',
      },
      processing_state: 'ready',
      processing_error: null,
    })
    expect(Object.keys(toVideo(aRecord(), urls, NOW).converted_files)).toEqual([
      '120p',
      '360p',
      '720p',
      '1080p',
    ])
  })

  test.each(['pending', 'processing'] as const)('of a %s one: nothing to play', (state) => {
    expect(toVideo(unready({ state }), urls, NOW)).toMatchObject({
      image_file: null,
      video_file: null,
      converted_files: {},
      processing_state: state,
      processing_error: null,
    })
  })

  test('of a failed one: the sentence', () => {
    const record = unready({ state: 'error', error_message: 'It is no film.' })
    expect(toVideo(record, urls, NOW)).toMatchObject({
      processing_state: 'error',
      processing_error: 'It is no film.',
    })
  })

  test('of one whose replacement failed: the old version, and no word of it', () => {
    const newest = aSource({ id: 4, state: 'error', error_message: 'It is no film.' })
    expect(toVideo(aRecord({ newest }), urls, NOW)).toMatchObject({
      video_file: 'url:1080p.mp4:5000',
      processing_state: 'ready',
      processing_error: null,
    })
  })
})

describe('what superusers get', () => {
  test('progress while it is processed, as far as it is known', () => {
    const record = unready({ state: 'processing' })
    const progress = { step: 'encode', percent: 40, speed: 2.5, etaSeconds: 12 }
    const steps = [
      aStep({ kind: 'probe', state: 'done' }),
      aStep({ kind: 'encode', state: 'running', attempts: 2, progress }),
    ]
    expect(toAdminVideo(record, steps, urls, NOW).source?.progress).toEqual({
      ...{ step: 'encode', percent: 42, speed: 2.5, eta_seconds: 12, attempt: 2 },
    })
    const queued = { step: 'queued', percent: 0, speed: null, eta_seconds: null, attempt: 1 }
    expect(toAdminVideo(record, [], urls, NOW).source?.progress).toEqual(queued)
  })

  test('no progress otherwise', () => {
    expect(toAdminVideo(aRecord(), [aStep({})], urls, NOW).source?.progress).toBeNull()
  })

  test('what plays already, while the rest is being made', () => {
    const record = unready({ state: 'processing', poster_key: 'new.jpg' })
    const early = { ...record, earlyRenditions: [aRendition('360p')] }
    expect(toAdminVideo(early, [], urls, NOW)).toMatchObject({
      processing_state: 'processing',
      converted_files: { '360p': 'url:360p.mp4:5000' },
      image_file: 'url:new.jpg:5000',
    })
    expect(toVideo(early, urls, NOW)).toMatchObject({ converted_files: {}, image_file: null })
  })

  test('the reason of a failure, with its code', () => {
    const record = unready({ state: 'error', error_code: 'not_a_video', error_message: 'No film.' })
    expect(toAdminVideo(record, [], urls, NOW).source?.error).toEqual({
      code: 'not_a_video',
      message: 'No film.',
    })
  })

  test('the placeholder of the poster as soon as there is one', () => {
    const record = unready({ state: 'processing', thumb_hash: 'bmV3' })
    expect(toVideo(record, urls, NOW).thumb_hash).toBeNull()
    expect(toAdminVideo(record, [], urls, NOW).thumb_hash).toBe('bmV3')
    const replaced = aRecord({ newest: aSource({ id: 4, thumb_hash: 'bmV3' }) })
    expect(toAdminVideo(replaced, [], urls, NOW).thumb_hash).toBe('aGFzaA==')
  })

  test('whether a replacement is on its way', () => {
    expect(toAdminVideo(aRecord(), [], urls, NOW).is_replacing).toBe(false)
    const newest = aSource({ id: 4, state: 'pending' })
    expect(toAdminVideo(aRecord({ newest }), [], urls, NOW).is_replacing).toBe(true)
    expect(toAdminVideo(unready({ state: 'pending' }), [], urls, NOW).is_replacing).toBe(false)
  })
})

describe('the rendition for what is asked', () => {
  const all = ['1080p', '120p', '720p', '360p']
  test.each([
    [all, undefined, '1080p'],
    [all, '1080p', '1080p'],
    [all, '120p', '120p'],
    [['120p', '360p'], '1080p', '360p'],
    [['120p', '1080p'], '720p', '120p'],
    [['360p'], '120p', '360p'],
    [all, '4k', null],
    [all, '', null],
    [all, 'constructor', null],
    [[], undefined, null],
    [[], '720p', null],
  ])('of %j, %j', (available, asked, expected) => {
    expect(chooseQuality(available, asked)).toBe(expected)
  })
})
