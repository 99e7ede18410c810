"""Adds a film to a running service, and shows whom it is recommended to.

    liverec train --data ml-100k --config configs/hybrid.toml --out bundles/hybrid
    liverec serve --bundle bundles/hybrid
    python examples/add_a_film.py [--url http://127.0.0.1:8000] [--title ... --category ... --year ... --liked ID ...]

Somebody whom the service has never seen rates films of that taste; then the new film comes, with a poster.
"""

from __future__ import annotations

import argparse
import base64
import io
import time
import uuid
from typing import Any

import httpx
from PIL import Image, ImageDraw

# Lion King, Aladdin, Beauty and the Beast, Snow White, Pinocchio and Dumbo in MovieLens 100K.
LIKED = ["71", "95", "588", "99", "404", "501"]
ASKED = 500


def poster(title: str) -> str:
    """Draw a hill and a moon under the title, as a PNG in base64."""
    image = Image.new("RGB", (128, 192), "midnightblue")
    draw = ImageDraw.Draw(image)
    draw.ellipse((78, 30, 112, 64), fill="lemonchiffon")
    draw.ellipse((-40, 130, 168, 300), fill="seagreen")
    draw.text((8, 8), title, fill="white")
    image.save(file := io.BytesIO(), "PNG")
    return base64.b64encode(file.getvalue()).decode()


def call(http: httpx.Client, method: str, path: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the answer; ends the script with what the service has against the call."""
    answer = http.request(method, path, **more)
    if answer.is_error:
        raise SystemExit(f"{method} {path}: {answer.text}")
    return dict(answer.json())


def place(http: httpx.Client, user_id: str, item_id: str) -> str:
    """Say at which rank the item is for the user."""
    items = call(http, "GET", f"/recommend/{user_id}", params={"n": ASKED})["items"]
    ranks = [item["rank"] for item in items if item["item_id"] == item_id]
    return f"rank {ranks[0]}" if ranks else f"not among {len(items)} films"


def main() -> None:
    """Rate, ask, add, ask again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--title", default="Little Owl and the Moon, The")
    parser.add_argument("--description", default="A young owl who fears the dark sings with the animals of the forest.")
    parser.add_argument("--category", nargs="+", default=["Animation", "Children's", "Musical"])
    parser.add_argument("--year", type=int)
    parser.add_argument("--liked", nargs="+", default=LIKED, help="ids of films that the user rates with 5")
    given = parser.parse_args()
    user_id, item_id = (f"{kind}-{uuid.uuid4().hex[:8]}" for kind in ("fan", "film"))
    film = {"item_id": item_id, "title": given.title, "description": given.description, "year": given.year}
    film |= {"categories": given.category, "image": poster(given.title)}
    with httpx.Client(base_url=given.url, timeout=10) as http:
        call(http, "POST", "/rate", json=[{"user_id": user_id, "item_id": each, "rating": 5} for each in given.liked])
        print(f"before: {item_id} is {place(http, user_id, item_id)}")
        receipt = call(http, "POST", "/items", json=film)
        answered = time.perf_counter()
        found = place(http, user_id, item_id)
        print(f"after {1000 * (time.perf_counter() - answered):.0f} ms: {found}, by {receipt['items'][0]['ranked_by']}")
        similar = call(http, "GET", f"/items/{item_id}/similar", params={"n": 5})["items"]
        print("similar:", "; ".join(str(each["metadata"].get("title", each["item_id"])) for each in similar))


if __name__ == "__main__":
    main()
