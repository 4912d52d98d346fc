// The types of what whimbrel gives to migrations in JavaScript and TypeScript.
