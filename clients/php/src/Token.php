<?php

declare(strict_types=1);

namespace Patd;

/** What an accepted token is. */
final class Token
{
    public readonly string $id;
    /** `personal_access_token`, `environment_token` or `session`. */
    public readonly string $type;
    public readonly ?string $name;
    /** @var list<string> */
    public readonly array $abilities;
    /** An RFC 3339 time, or null if the token does not expire. */
    public readonly ?string $expiresAt;
    /** @var array<string, string> */
    public readonly array $metadata;

    /** @param array<string, mixed> $data */
    public function __construct(array $data)
    {
        $this->id = $data['id'];
        $this->type = $data['type'];
        $this->name = $data['name'] ?? null;
        $this->abilities = $data['abilities'];
        $this->expiresAt = $data['expires_at'] ?? null;
        $this->metadata = $data['metadata'] ?? [];
    }

    /**
     * Whether the token has the ability, by the rules of patd: `calls:*` covers `calls:read`, `*` covers everything but
     * reserved abilities.
     */
    public function can(string $ability): bool
    {
        foreach ($this->abilities as $held) {
            if ($held === $ability) {
                return true;
            }
            $stem = substr($held, 0, -1);
            $isCovered = str_ends_with($held, '*') && strlen($ability) > strlen($stem) && str_starts_with($ability, $stem);
            if ($isCovered && (!self::isReserved($ability) || self::isReserved($stem))) {
                return true;
            }
        }
        return false;
    }

    public function cant(string $ability): bool
    {
        return !$this->can($ability);
    }

    /** Whether the expiry has passed, by the clock of this machine. */
    public function hasExpired(): bool
    {
        // A text that is no time is false, which is in the past.
        return $this->expiresAt !== null && strtotime($this->expiresAt) <= time();
    }

    private static function isReserved(string $text): bool
    {
        return $text === 'tokens:introspect' || $text === 'admin' || str_starts_with($text, 'admin:');
    }
}
