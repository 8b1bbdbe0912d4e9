/** What the gateway's calls need of a connection, and what fails where it was not granted. */
const NEEDED: readonly (readonly [scope: string, without: string])[] = [
  ['objects/record.write', 'PATCH /records fails'],
  ['objects/record.readonly', 'GET /records fails, and so does PATCH /records where it has to read the record first'],
  ['objects/schema.readonly', 'GET /objects fails, and PATCH /records sends values as they came']
]

const NEEDED_OF_COMPANY: typeof NEEDED = [
  ...NEEDED,
  ['oauth.readonly', 'the company’s locations cannot be listed'],
  ['oauth.write', 'its locations get no tokens, and all of their calls fail']
]

/** What fails with these scopes, a sentence each. `scopes` is space-separated; empty where HighLevel did not say. */
export function scopeWarnings(scopes: string, isCompany: boolean): string[] {
  if (scopes === '') return []
  const granted = new Set(scopes.split(/[\s,]+/))
  return (isCompany ? NEEDED_OF_COMPANY : NEEDED)
    .filter(([scope]) => !granted.has(scope))
    .map(([scope, without]) => `The scope ${scope} was not granted: ${without}.`)
}
