import { catalogue, type Problem } from '../problems.ts'
import type { Connected } from './install.ts'

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escaped = (text: string) => text.replace(/[&<>"']/g, (char) => escapes[char] ?? char)

const page = (title: string, lines: readonly string[]) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}h1{font-size:1.4rem}</style>
<h1>${escaped(title)}</h1>
${lines.map((line) => `<p>${escaped(line)}</p>`).join('\n')}
</html>
`

/** What an administrator sees after an install. */
export function connectedPage(connected: Connected): string {
  if ('locationId' in connected) {
    return page('Connected', [`Location ${connected.locationId} is connected. This page can be closed.`])
  }
  const { companyId, locationIds } = connected
  const locations =
    locationIds.length === 0
      ? 'HighLevel lists no location of it yet: open the connect link again later.'
      : `Its locations: ${locationIds.join(', ')}.`
  return page('Connected', [`Company ${companyId} is connected. ${locations}`, 'This page can be closed.'])
}

/** What an administrator sees when an install failed. */
export const problemPage = ({ code, detail }: Problem, requestId: string): string =>
  page('Not connected', [`${detail}.`, `${catalogue[code].title} (${code}). Request ${requestId}.`])
