<?php

declare(strict_types=1);

namespace Patd\Laravel;

use Illuminate\Auth\GenericUser;
use Patd\Verdict;

/** The owner of a token, or its environment, if the application has no users of its own. */
final class TokenUser extends GenericUser
{
    use HasToken;

    public static function of(Verdict $verdict): self
    {
        $attributes = $verdict->owner ?? ['id' => $verdict->environmentId, 'type' => 'environment', 'name' => null];
        return (new self($attributes))->withAccessToken($verdict->token);
    }
}
