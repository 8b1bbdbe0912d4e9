import type { GrantState } from '../grants/grant.ts'
import { catalog } from '../problems/catalog.ts'
import type { Problem } from '../problems/problem.ts'
import type { Connected, Standing } from './install.ts'

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escaped = (text: string) => text.replace(/[&<>"']/g, (char) => escapes[char] ?? char)

const page = (title: string, lines: readonly string[], connectUrl?: string) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}h1{font-size:1.4rem}</style>
<h1>${escaped(title)}</h1>
${lines.map((line) => `<p>${escaped(line)}</p>`).join('\n')}
${connectUrl === undefined ? '' : `<p><a href="${escaped(connectUrl)}">Begin the install again</a></p>`}
</html>
`

const CLOSE = 'This page can be closed.'
const date = (epochMs: number) => new Date(epochMs).toISOString()

/** What an administrator is told where HighLevel sent no refresh token. */
const renewalLines = ({ renewedBy, expiresAt }: Connected): string[] => {
  const missing = 'HighLevel sent no refresh token.'
  if (renewedBy === 'before')
    return [`${missing} The one of before stays in use: if HighLevel refuses it, the app has to be installed again.`]
  if (renewedBy === 'unchanged') return [`${missing} The connection of before stays in use, unchanged.`]
  if (renewedBy === 'own' || expiresAt === null) return []
  return [
    `${missing} Unless its company is connected, this connection ends on ${date(expiresAt)}: install the app again.`
  ]
}

/** What an administrator sees after an install. */
export function connectedPage(connected: Connected): string {
  const more = [...renewalLines(connected), ...connected.warnings, CLOSE]
  if ('locationId' in connected) return page('Connected', [`Location ${connected.locationId} is connected.`, ...more])
  const { companyId, locationIds } = connected
  const locations =
    locationIds.length === 0
      ? 'HighLevel lists no location of it yet: open the connect link again later.'
      : `Its locations: ${locationIds.join(', ')}.`
  return page('Connected', [`Company ${companyId} is connected. ${locations}`, ...more])
}

const standings: Record<GrantState, (since: string) => string> = {
  connected: () => 'is connected.',
  'backing-off': (since) => `is connected. Its token cannot be renewed since ${since}, which is tried again by itself.`,
  paused: (since) => `is connected, but HighLevel says since ${since} that it is not active.`,
  'reconnect-required': (since) => `was connected. HighLevel has ended the connection on ${since}.`,
  uninstalled: (since) => `was connected. The app was removed on ${since}.`
}

/** What an administrator sees who opens the page of a finished install again. */
export function standingPage({ subject, state, stateSince, warnings }: Standing, connectUrl: string): string {
  const [kind, id] = subject.startsWith('company:') ? ['Company', subject.slice(8)] : ['Location', subject.slice(9)]
  const line = `${kind} ${id} ${standings[state](date(stateSince))}`
  const isOver = state === 'reconnect-required' || state === 'uninstalled'
  return isOver ? page('Not connected', [line], connectUrl) : page('Connected', [line, ...warnings, CLOSE])
}

/** What an administrator sees when an install failed. */
export const problemPage = ({ code, detail }: Problem, requestId: string, connectUrl: string): string =>
  page('Not connected', [`${detail}.`, `${catalog[code].title} (${code}). Request ${requestId}.`], connectUrl)
