import { expect, test } from 'vitest'
import { dashManifest } from './dash.ts'
import { aFilm, aRichFilm } from './films.fixture.ts'

const urlOf = (key: string): string => `https://films.example.com/${key}?expires=9&signature=a`

test('a film with sound is ranges of its files, on a timeline', () => {
  const film = aFilm({ renditions: aFilm().renditions.slice(1, 2) })
  expect(dashManifest(film, urlOf)).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-main:2011" type="static" mediaPresentationDuration="PT4.504500S" minBufferTime="PT2.005333S">
<Period id="0" start="PT0S">
<AdaptationSet contentType="video" mimeType="video/mp4" segmentAlignment="true" startWithSAP="1" maxWidth="1280" maxHeight="720">
<Representation id="video-720p" codecs="avc1.64001f" width="1280" height="720" frameRate="24000/1001" sar="1:1" bandwidth="1038962">
<BaseURL>https://films.example.com/videos/1/2-3-4/720p.mp4?expires=9&amp;signature=a</BaseURL>
<SegmentList timescale="24000">
<Initialization range="1000-1699"/>
<SegmentTimeline>
<S t="0" d="48048"/>
<S d="48048"/>
<S d="12012"/>
</SegmentTimeline>
<SegmentURL mediaRange="5000-254999"/>
<SegmentURL mediaRange="305000-564999"/>
<SegmentURL mediaRange="605000-624999"/>
</SegmentList>
</Representation>
</AdaptationSet>
<AdaptationSet contentType="audio" mimeType="audio/mp4" lang="en" segmentAlignment="true" startWithSAP="1">
<AudioChannelConfiguration schemeIdUri="urn:mpeg:mpegB:cicp:ChannelConfiguration" value="2"/>
<Label>English</Label>
<Role schemeIdUri="urn:mpeg:dash:role:2011" value="main"/>
<Representation id="audio-0" codecs="mp4a.40.2" bandwidth="127660">
<BaseURL>https://films.example.com/videos/1/2-3-4/360p.mp4?expires=9&amp;signature=a</BaseURL>
<SegmentList timescale="48000">
<Initialization range="1700-2299"/>
<SegmentTimeline>
<S t="0" d="96256"/>
<S d="95232"/>
</SegmentTimeline>
<SegmentURL mediaRange="255000-286999"/>
<SegmentURL mediaRange="565000-595999"/>
</SegmentList>
</Representation>
</AdaptationSet>
</Period>
</MPD>
`)
})

test('a silent film has a picture alone', () => {
  expect(dashManifest(aFilm({ audio: [] }), urlOf)).not.toContain('audio')
})

test('languages and subtitles are sets of their own', () => {
  const text = dashManifest(aRichFilm(), urlOf)
  const all = (pattern: RegExp): (string | undefined)[] =>
    [...text.matchAll(pattern)].map(([, found]) => found)
  expect(all(/lang="(.*?)"/g)).toEqual(['en', 'de', 'en', 'fr', 'fr', 'und'])
  expect(all(/<Role .* value="(.*?)"/g)).toEqual([
    ...['main', 'alternate', 'alternate'],
    ...['subtitle', 'forced-subtitle', 'subtitle'],
  ])
  expect(all(/ChannelConfiguration" value="(.*?)"/g)).toEqual(['2', '6', '2'])
  expect(all(/<Label>(.*?)<\/Label>/gs)).toEqual([
    ...['English', 'Deutsch &quot;5.1&quot;', 'English (2)'],
    ...['Français &lt;&amp;&gt;', 'Français &lt;&amp;&gt; (2)', 'Track'],
  ])
})

test.each([
  [1, '1'],
  [7, '11'],
  [8, '12'],
  [9, undefined],
])('%i channels are layout %s', (channels, layout) => {
  const film = aFilm()
  for (const track of film.audio) track.channels = channels
  const found = /ChannelConfiguration" value="(.*?)"/.exec(dashManifest(film, urlOf))
  expect(found?.[1]).toBe(layout)
})

test('what XML cannot hold is left out', () => {
  const film = aFilm()
  for (const track of film.audio) track.label = 'a\u0000\u0001\u001f\ufffe]]>\ud800b'
  expect(dashManifest(film, urlOf)).toContain('<Label>a]]&gt;\ufffdb</Label>')
})
