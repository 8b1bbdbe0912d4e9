type ScopeNeed = readonly [scope: string, withoutIt: string]

/** The scopes that the gateway's calls need, and what fails without each. */
const LOCATION_NEEDS: readonly ScopeNeed[] = [
  ['objects/record.write', 'PATCH /records fails'],
  ['objects/record.readonly', 'GET /records fails, and so does a PATCH /records that has to read the record first'],
  ['objects/schema.readonly', 'GET /objects fails, and PATCH /records sends values as given']
]

const COMPANY_NEEDS: readonly ScopeNeed[] = [
  ...LOCATION_NEEDS,
  ['oauth.readonly', 'the locations of the company cannot be listed'],
  ['oauth.write', 'its locations get no tokens, and all of their calls fail']
]

/** One sentence for each missing scope, saying what fails. `scopes` is space-separated; empty if HighLevel sent none. */
export function scopeWarnings(scopes: string, isCompany: boolean): string[] {
  if (scopes === '') return []
  const granted = new Set(scopes.split(/[\s,]+/))
  return (isCompany ? COMPANY_NEEDS : LOCATION_NEEDS)
    .filter(([scope]) => !granted.has(scope))
    .map(([scope, withoutIt]) => `The scope ${scope} was not granted: ${withoutIt}.`)
}
