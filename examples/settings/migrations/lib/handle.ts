// What people are called in addresses: lower case, ASCII, not yet taken.

export function handleOf(email: string): string {
  const [name] = email.split(/[+@]/);
  return name.normalize('NFD').replace(/[\u0300-\u036f]/g, '').toLowerCase().replace(/[^a-z0-9]+/g, '-');
}

export class Handles {
  private taken = new Map<string, number>();

  next(email: string): string {
    const handle = handleOf(email);
    const count = (this.taken.get(handle) ?? 0) + 1;
    this.taken.set(handle, count);
    return count === 1 ? handle : `${handle}-${count}`;
  }
}
