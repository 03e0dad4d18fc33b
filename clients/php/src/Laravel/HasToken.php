<?php

declare(strict_types=1);

namespace Patd\Laravel;

use Patd\Token;

/** What Laravel Sanctum offers on a user, for a model of your own. */
trait HasToken
{
    protected ?Token $accessToken = null;

    /** Whether the token of this request has the ability. Without a token, it is false. */
    public function tokenCan(string $ability): bool
    {
        return $this->accessToken !== null && $this->accessToken->can($ability);
    }

    public function tokenCant(string $ability): bool
    {
        return !$this->tokenCan($ability);
    }

    public function currentAccessToken(): ?Token
    {
        return $this->accessToken;
    }

    public function withAccessToken(?Token $accessToken): static
    {
        $this->accessToken = $accessToken;
        return $this;
    }
}
